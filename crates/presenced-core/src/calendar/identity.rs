//! Who is who: whether an ATTENDEE or ORGANIZER is the user.

use percent_encoding::percent_decode_str;

use super::property::Property;

/// Whether an ATTENDEE or ORGANIZER has one of the user's addresses, ignoring case.
///
/// The value is a `mailto:` address, which may be percent-encoded (RFC 6068, 2) or in angle brackets. If the value is another
/// kind of URI, the address is in the parameter EMAIL (RFC 7986, 6.2).
pub(super) fn names_user(property: &Property<'_>, identity: &[String]) -> bool {
    if identity.is_empty() {
        return false;
    }
    let is_user = |written: &str| {
        let decoded = percent_decode_str(written).decode_utf8_lossy();
        // Some programs write a name before the address (RFC 5322, 3.4), or quotes around it.
        let address = decoded.rsplit_once('<').map_or(&*decoded, |(_, address)| address);
        let address = address.trim().trim_end_matches('>').trim_matches(['\'', '"']).trim();
        identity.iter().any(|own| own.trim().eq_ignore_ascii_case(address))
    };
    let value = property.text();
    let value = value.trim_start_matches('<');
    let address = match value.split_at_checked("mailto:".len()) {
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("mailto:") => address,
        Some(_) | None => value,
    };
    // RFC 6068, 2: header fields follow a question mark.
    let address = address.split_once('?').map_or(address, |(address, _)| address);
    is_user(address) || property.parameter("EMAIL").is_some_and(|mail| is_user(&String::from_utf8_lossy(mail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_many_forms() {
        let identity = ["Me@contoso.com ".to_owned()];
        let is_user = |line: &str| names_user(&Property::parse(line.as_bytes()).unwrap(), &identity);
        for line in [
            "ATTENDEE:mailto:me@contoso.com",
            "ATTENDEE:MAILTO:ME@CONTOSO.COM",
            "ATTENDEE:me@contoso.com",
            "ATTENDEE:mailto:me%40contoso.com",
            "ATTENDEE:mailto:<me@contoso.com>",
            "ATTENDEE:<mailto:me@contoso.com>",
            "ATTENDEE:mailto:%3Cme@contoso.com%3E",
            "ATTENDEE:mailto:me@contoso.com?subject=x",
            "ATTENDEE:mailto:Me <me@contoso.com>",
            "ATTENDEE:mailto:'me@contoso.com'",
            "ATTENDEE;EMAIL=me@contoso.com:urn:uuid:1",
            "ATTENDEE;EMAIL=\"me%40contoso.com\":invalid:nomail",
        ] {
            assert!(is_user(line), "{line}");
        }
        for line in [
            "ATTENDEE:mailto:meg@contoso.com",
            "ATTENDEE:mailto:me@contoso.com.example",
            "ATTENDEE:mailto:",
            "ATTENDEE;CN=me@contoso.com:mailto:ada@example.org",
            "ATTENDEE;EMAIL=ada@example.org:mailto:ada@example.org",
        ] {
            assert!(!is_user(line), "{line}");
        }
    }
}
