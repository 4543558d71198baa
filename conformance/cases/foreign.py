"""Foreign functions that take Envoy's messages."""

import base64
import string

from harness.case import Case

# Made by openssl: a key on P-256, and a signature of "hello" with SHA-256.
EC = base64.b64decode(
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZS420Zd0sHXXymms3pmBasAbqz"
    "G/rXhwXjS7S2ACan9m6MMQ5h4D8Gaa8CKML+7P8A9rWzNcGmlZUOALwr7U8Q==")
SIGNATURE = base64.b64decode(
    "MEUCIHco2n9BNwsLnFfYlyZ8M1g//yIFRLqN4c0ngQU9lJQZAiEA3rCLyUnBfSmKU2T5ipLaVi7VGWXMLstbNEPrFggaCgs=")
EC_PRIVATE = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQga6gv/sQM4w6bdZIL
gbtyMkesieiS4Gq6oSfNDRwG+T2hRANCAARlLjbRl3SwddfKaazemYFqwBurMb+t
eHBeNLtLYAJqf2bowxDmHgPwZprwIowv7s/wD2tbM1waaVlQ4AvCvtTx
-----END PRIVATE KEY-----
"""

PLAIN = (string.ascii_letters + string.digits + " +/=-.").encode()


def message(*fields):
    """A protobuf message of (number, bytes), as a word of a script."""
    out = b""
    for number, value in fields:
        value = value.encode() if isinstance(value, str) else value
        size = b""
        left = len(value)
        while left > 0x7f:
            size += bytes([left & 0x7f | 0x80])
            left >>= 7
        out += bytes([number << 3 | 2]) + size + bytes([left]) + value
    return word(out)


def word(data):
    return '"%s"' % "".join(chr(c) if c in PLAIN else "\\x%02x" % c for c in data)


def calls(name, *arguments):
    return "".join("request_headers proxy_call_foreign_function %s %s **\n" % (word(name.encode()), argument)
                   for argument in arguments)


CASES = [
    Case(
        "verify_signature",
        covers=["proxy_call_foreign_function"],
        config=calls(
            "verify_signature",
            message((1, "sha256"), (2, EC), (3, SIGNATURE), (4, "hello")),
            message((1, "SHA256"), (2, EC), (3, SIGNATURE), (4, "hello")),
            message((1, "sha256"), (2, EC), (3, SIGNATURE), (4, "hullo")),
            message((1, "sha384"), (2, EC), (3, SIGNATURE), (4, "hello"))),
        expect=["= OK 0x0801$", "= OK 0x12"],
    ),
    Case(
        "verify_signature of what is no signature, or no key",
        covers=["proxy_call_foreign_function"],
        config=calls(
            "verify_signature",
            message((1, "sha256"), (2, EC), (3, b"no signature"), (4, "hello")),
            message((1, "md5"), (2, EC), (3, SIGNATURE), (4, "hello")),
            message((1, "sha256"), (2, "no key"), (3, SIGNATURE), (4, "hello")),
            message((1, "sha256"), (5, "no key"), (3, SIGNATURE), (4, "hello")),
            message((1, "md5"), (2, "no key")),
            message((1, "sha256"), (2, "key"), (5, "another")),
            message((1, "sha256"), (3, SIGNATURE), (4, "hello")),
            word(b"\x0a\xff")),
        expect=["= OK 0x12", "= BAD_ARGUMENT$"],
    ),
    Case(
        "sign",
        covers=["proxy_call_foreign_function"],
        config=calls(
            "sign",
            message((1, "sha256"), (4, EC_PRIVATE), (3, "hello")),
            message((1, "md5"), (4, EC_PRIVATE), (3, "hello")),
            message((1, "sha256"), (2, "no key"), (3, "hello")),
            message((1, "sha256"), (4, "no key"), (3, "hello")),
            message((1, "md5"), (2, "no key"), (3, "hello")),
            message((1, "sha256"), (2, "key"), (4, "another")),
            message((1, "sha256"), (3, "hello"))),
        # A number that is drawn is part of it.
        mask=[("OK 0x0801124[4-8]30[0-9a-f]+", "OK SIGNATURE")],
        expect=["OK SIGNATURE", "= BAD_ARGUMENT$"],
    ),
    Case(
        "declare_property",
        covers=["proxy_call_foreign_function", "proxy_set_property"],
        config="""
configure proxy_call_foreign_function "declare_property" "\\x0a\\x04once\\x10\\x01" **
configure proxy_call_foreign_function "declare_property" "\\x0a\\x04once" **
configure proxy_call_foreign_function "declare_property" "\\x0a\\x09once" **
configure proxy_call_foreign_function "declare_property" "\\x0a\\x04ever\\x18\\x01\\x28\\x01" **
request_headers proxy_call_foreign_function "declare_property" "\\x0a\\x05never\\x10\\x01" **
request_headers set_property once one
request_headers get_property once
request_headers set_property ever one
request_headers set_property ever two
request_headers get_property ever
request_headers set_property never one
request_headers set_property never two
request_headers get_property never
""",
        expect=['get_property.* = OK "two"'],
    ),
    Case(
        "declare_property, set twice",
        covers=["proxy_call_foreign_function", "proxy_set_property"],
        config="""
configure proxy_call_foreign_function "declare_property" "\\x0a\\x04once\\x10\\x01" **
request_headers set_property once one
request_headers proxy_set_property "once" "two"
request_headers get_property once
""",
        expect=['get_property.* = OK "one"'],
        differs="What a plugin cannot change is logged",
    ),
    Case(
        "what is not built",
        covers=["proxy_call_foreign_function"],
        config=calls("expr_create", word(b"request.path == '/'")),
        expect=["proxy_call_foreign_function"],
        differs="Only some of Envoy's",
    ),
]
