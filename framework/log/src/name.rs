//! Names of topics and groups: what is allowed, checked in one place.
//!
//! Names never become paths (folders are numbered), but they become labels, file names of users'
//! results and words on command lines. So they are held to what is safe in all of these.

use crate::{Error, Result, limits::MAX_NAME_LEN};

/// Checks a name against `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$`, without `..`, and not a device name
/// of Windows.
///
/// `what` is to be named, as in `topic` or `group`.
///
/// # Errors
///
/// [`Error::BadName`], with the reason and the rule.
///
/// # Examples
///
/// ```
/// use levada_log::check_name;
///
/// check_name("topic", "orders.v2")?;
/// let said = check_name("topic", "../orders").expect_err("it leads elsewhere").to_string();
/// assert!(said.starts_with("topic name \"../orders\" is not allowed"), "{said}");
/// # Ok::<(), levada_log::Error>(())
/// ```
pub fn check(what: &'static str, name: &str) -> Result<()> {
    let Some(reason) = fault(name) else {
        return Ok(());
    };
    Err(Error::BadName {
        what,
        name: name.chars().take(MAX_NAME_LEN).collect(),
        reason,
    })
}

fn fault(name: &str) -> Option<&'static str> {
    let Some(first) = name.bytes().next() else {
        return Some("it is empty");
    };
    if name.len() > MAX_NAME_LEN {
        return Some("it is too long");
    }
    if !first.is_ascii_alphanumeric() {
        return Some("it does not start with a letter or digit");
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    {
        return Some("it has another character");
    }
    if name.contains("..") {
        return Some("it has two dots in a row");
    }
    is_device(name).then_some("it is a device on Windows")
}

/// Whether Windows takes the name, up to its first dot, for a device.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_ascii_uppercase();
    match stem.as_bytes() {
        b"CON" | b"PRN" | b"AUX" | b"NUL" => true,
        [b'C', b'O', b'M', digit] | [b'L', b'P', b'T', digit] => digit.is_ascii_digit(),
        _ => false,
    }
}

/// What two names have in common if a file system that ignores case would mix them up.
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_field_are_allowed() {
        for name in [
            "orders",
            "a",
            "0",
            "outbox.event.Order_v2-x",
            &"x".repeat(128),
            "console",
        ] {
            check("topic", name).unwrap();
        }
    }

    #[test]
    fn names_that_could_escape_or_confuse_are_refused() {
        let long = "x".repeat(129);
        for name in [
            "", ".", "..", "a/../b", "a\0b", "%2e%2e", &long, "ordеrs", "CON", "con.txt", "Lpt1",
            "-a", ".a", "_a", "a..b", "a b", "a\nb", "C:", "a\\b",
        ] {
            assert!(check("topic", name).is_err(), "{name:?} was allowed");
        }
    }
}
