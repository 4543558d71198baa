//! The hosts file: names whose addresses are known without asking anybody.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;

const FILE: &str = "/etc/hosts";

type Hosts = HashMap<Vec<u8>, IpAddr>;

thread_local! {
    static HOSTS: RefCell<Hosts> = RefCell::default();
}

/// Reads the file anew. Workers inherit what the master has read.
pub fn read() {
    let text = std::fs::read(FILE).unwrap_or_default();
    HOSTS.set(parse(&text));
}

/// The address of a name, as the file had it when it was last read.
pub fn find(name: &[u8]) -> Option<IpAddr> {
    HOSTS.with_borrow(|hosts| hosts.get(&name.to_ascii_lowercase()).copied())
}

/// Lines of an address and its names; the first line with a name counts.
fn parse(text: &[u8]) -> Hosts {
    let mut hosts = Hosts::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let address = words.next().and_then(|word| str::from_utf8(word).ok());
        let Some(address) = address.and_then(|word| word.parse().ok()) else {
            continue;
        };
        for name in words {
            hosts.entry(name.to_ascii_lowercase()).or_insert(address);
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_first_line_with_a_name_counts() {
        let hosts = parse(
            b"# 1.1.1.1 comment\n127.0.0.1\tlocalhost Loop # x\n::1 localhost six\nnonsense six\r\n\
            10.0.0.1\tcrlf\r\n300.0.0.1 none\n\n2.2.2.2",
        );
        let find = |name: &str| hosts.get(name.as_bytes()).map(ToString::to_string);
        assert_eq!(find("localhost").as_deref(), Some("127.0.0.1"));
        assert_eq!(find("loop").as_deref(), Some("127.0.0.1"));
        assert_eq!(find("six").as_deref(), Some("::1"));
        assert_eq!(find("crlf").as_deref(), Some("10.0.0.1"));
        assert_eq!(hosts.len(), 4);
    }
}
