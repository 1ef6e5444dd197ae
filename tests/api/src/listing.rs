//! How two listings differ.

use std::collections::BTreeSet;

/// The lines that only one of two listings has: `- ` before what is gone, `+ ` before what is new.
pub(crate) fn differences(listed: &str, present: &str) -> Vec<String> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) =
        (listed.lines().collect(), present.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let added = new.difference(&old).map(|line| format!("+ {line}"));
    gone.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_signature_is_a_line_gone_and_a_line_added() {
        let listed = "pub fn a::len(&self) -> u32\npub struct a::Log\n";
        let present = "pub fn a::len(&self) -> u64\npub struct a::Log\n";
        let expected = [
            "- pub fn a::len(&self) -> u32",
            "+ pub fn a::len(&self) -> u64",
        ];
        assert_eq!(differences(listed, present), expected);
        assert_eq!(differences(listed, listed), [""; 0]);
    }
}
