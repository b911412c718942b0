//! Open Location Codes ("plus codes"): a location as a code that says its own square, 1/8000
//! degrees wide. The rules are those of the Open Location Code specification.

/// The 20 digits; chosen there so that codes spell no words.
const DIGITS: &[u8; 20] = b"23456789CFGHJMPQRVWX";

/// The ten digit code of a location in units of 0.00001 degrees: `8553362X+R2`, for example.
pub(super) fn plus_code(latitude: i32, longitude: i32) -> [u8; 11] {
    let mut north = eighth_millis(latitude + 9_000_000).min(180 * 8000 - 1);
    let mut east = eighth_millis(longitude + 18_000_000) % (360 * 8000);
    let mut code = [b'+'; 11];
    // From the last pair of digits to the first; the plus sign stands before the last pair.
    for pair in [9, 6, 4, 2, 0] {
        code[pair] = DIGITS[(north % 20) as usize];
        code[pair + 1] = DIGITS[(east % 20) as usize];
        north /= 20;
        east /= 20;
    }
    code
}

/// Units of 0.00001 degrees in units of 1/8000 degrees, of which each is 12.5.
fn eighth_millis(units: i32) -> u32 {
    units.unsigned_abs() * 2 / 25
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values by the reference implementation (PyPI `openlocationcode`).
    #[test]
    fn codes_are_those_of_the_reference_implementation() {
        for (latitude, longitude, expected) in [
            (3_405_223, -11_824_368, "85633Q24+VG"),
            (0, 0, "6FG22222+22"),
            (9_000_000, 18_000_000, "C2X2X2X2+X2"),
            (-9_000_000, -18_000_000, "22222222+22"),
            (-4_127_302, 17_373_692, "4VCMPPGP+QQ"),
            (6_414_693, -2_194_258, "99PW43W4+QX"),
        ] {
            let code = plus_code(latitude, longitude);
            assert_eq!(String::from_utf8_lossy(&code), expected);
        }
    }
}
