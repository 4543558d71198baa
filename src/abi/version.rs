//! Which ABI version a module is written to (spec: `proxy_abi_version_*`).

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AbiVersion {
    V0_1_0,
    V0_2_0,
    V0_2_1,
}

/// Every known version, by the export that names it.
const EXPORTS: [(&str, AbiVersion); 3] = [
    ("proxy_abi_version_0_1_0", AbiVersion::V0_1_0),
    ("proxy_abi_version_0_2_0", AbiVersion::V0_2_0),
    ("proxy_abi_version_0_2_1", AbiVersion::V0_2_1),
];

const PREFIX: &str = "proxy_abi_version_";

/// The highest known version among a module's exports; `Err` gives the
/// unknown one that is exported instead, or `None` when there is none at all.
pub fn detect<'a>(
    exports: impl Iterator<Item = &'a str>,
) -> std::result::Result<AbiVersion, Option<String>> {
    let mut highest = None;
    let mut unknown = None;

    for name in exports.filter(|name| name.starts_with(PREFIX)) {
        match EXPORTS.iter().find(|(export, _)| *export == name) {
            Some((_, version)) => highest = highest.max(Some(*version)),
            None => unknown = Some(name.to_owned()),
        }
    }
    highest.ok_or(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_known_version_wins() {
        let exports = |names: &'static [&'static str]| detect(names.iter().copied());

        assert_eq!(
            exports(&["proxy_abi_version_0_1_0", "proxy_abi_version_0_2_0"]),
            Ok(AbiVersion::V0_2_0)
        );
        assert_eq!(
            exports(&["proxy_abi_version_0_2_1", "proxy_abi_version_0_3_0"]),
            Ok(AbiVersion::V0_2_1)
        );
        assert_eq!(
            exports(&["memory", "proxy_abi_version_9_9_9"]),
            Err(Some("proxy_abi_version_9_9_9".to_owned()))
        );
        assert_eq!(exports(&["memory"]), Err(None));
    }
}
