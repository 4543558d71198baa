use crate::callout::target::Kind;
use crate::callout::{Scheme, Target, TargetError};

/// `expected`: what `Display` gives, or the error.
fn check(address: &str, scheme: Scheme, expected: Result<&str, TargetError>) {
    let target = Target::parse(address.as_bytes(), scheme);
    let shown = target.clone().map(|target| target.to_string());
    assert_eq!(shown, expected.map(str::to_owned), "{address}");
    if let Ok(shown) = shown {
        // What a log line shows can be pasted into a configuration.
        assert_eq!(Target::parse(shown.as_bytes(), Scheme::Http), target);
    }
}

#[test]
fn addresses() {
    use Scheme::{Http, Https};
    check("auth.local", Http, Ok("http://auth.local:80"));
    check("auth.local", Https, Ok("https://auth.local:443"));
    check("auth.local:8443", Https, Ok("https://auth.local:8443"));
    check("Auth.Local.:8080", Http, Ok("http://auth.local.:8080"));
    check("my_service-1", Http, Ok("http://my_service-1:80"));
    check("127.0.0.1:1", Http, Ok("http://127.0.0.1:1"));
    check("h:65535", Http, Ok("http://h:65535"));
    check("h:0080", Http, Ok("http://h:80"));
    check("[::1]", Https, Ok("https://[::1]:443"));
    check("[2001:DB8::0:1]:99", Http, Ok("http://[2001:db8::1]:99"));
    check(
        "unix:/run/auth.sock",
        Http,
        Ok("http://unix:/run/auth.sock"),
    );
    check(
        "unix:/run/auth.sock",
        Https,
        Ok("https://unix:/run/auth.sock"),
    );
    check("unix:/a:b://c", Http, Ok("http://unix:/a:b://c"));
    check(
        &format!("unix:/{}", "p".repeat(106)),
        Http,
        Ok(&format!("http://unix:/{}", "p".repeat(106))),
    );
    // A scheme in the address wins.
    check("http://h", Https, Ok("http://h:80"));
    check("https://h", Http, Ok("https://h:443"));
    check("HTTPS://h:80", Http, Ok("https://h:80"));
    check("https://[::1]", Http, Ok("https://[::1]:443"));
    check("https://unix:/s", Http, Ok("https://unix:/s"));
}

#[test]
fn bad_addresses() {
    use TargetError::*;
    let long_label = "a".repeat(64);
    let long_name = [
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(63),
    ]
    .join(".");
    let long_path = format!("unix:/{}", "p".repeat(107));
    let table = [
        ("", Empty),
        (" ", Characters),
        ("h ", Characters),
        ("a b", Characters),
        ("h\r\n", Characters),
        ("h\0", Characters),
        ("h\u{7f}", Characters),
        ("h\u{85}", Characters),
        ("unix:/a b", Characters),
        ("ftp://h", Scheme),
        ("http://http://h", Scheme),
        ("://h", Scheme),
        ("http://", Host),
        (":80", Host),
        ("user@h", Host),
        ("user:pw@h", Port),
        ("h/path", Path),
        ("http://h/", Path),
        ("h?q", Host),
        ("a..b", Host),
        (".a", Host),
        (".", Host),
        ("bücher.de", Host),
        ("*", Host),
        (&long_label, Host),
        (&long_name, Host),
        ("h:", Port),
        ("h:0", Port),
        ("h:00", Port),
        ("h:65536", Port),
        ("h:99999999999999999999", Port),
        ("h:+80", Port),
        ("h:-1", Port),
        ("h:80/", Path),
        ("h:http", Port),
        ("::1", Ipv6),
        ("2001:db8::1", Ipv6),
        ("h:80:80", Ipv6),
        ("[::1", Ipv6),
        ("[]", Ipv6),
        ("[h]", Ipv6),
        ("[127.0.0.1]", Ipv6),
        ("[fe80::1%eth0]", Ipv6),
        ("[::1]80", Port),
        ("[::1]:", Port),
        ("[::1]:0", Port),
        ("unix:", UnixPath),
        ("unix:/", UnixPath),
        ("unix:run/auth.sock", UnixPath),
        (&long_path, UnixPath),
    ];
    for (address, error) in table {
        check(address, crate::callout::Scheme::Http, Err(error));
        assert!(error.to_string().starts_with("the upstream address"));
    }
    let not_utf8 = Target::parse(b"h\xff", crate::callout::Scheme::Http);
    assert_eq!(not_utf8, Err(Characters));
}

#[test]
fn cosocket_arguments() {
    let of = |address: &str| {
        let target = Target::parse(address.as_bytes(), Scheme::Http).unwrap();
        (target.host().into_owned(), target.port())
    };
    assert_eq!(of("h:1"), ("h".into(), Some(1)));
    assert_eq!(of("[::1]:1"), ("[::1]".into(), Some(1)));
    assert_eq!(of("unix:/run/s"), ("unix:/run/s".into(), None));

    let unix = Target::parse(b"unix:/run/s", Scheme::Http).unwrap();
    assert_eq!(
        unix.kind,
        Kind::Unix {
            path: "/run/s".into()
        }
    );
}
