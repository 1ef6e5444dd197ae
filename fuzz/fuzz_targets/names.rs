//! Names of topics, groups and producers: all three go by one rule, and no name becomes a path.
#![no_main]

use levada_fuzz::use_name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|name: &str| {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_good = levada_log::check_name("topic", name).is_ok();
    assert!(!is_good || name.chars().all(is_plain), "{name:?}");
    let (taken, files) = use_name(name);
    assert_eq!(taken, [is_good; 3], "{name:?}");
    if is_good {
        assert_eq!(files, use_name("orders").1, "{name:?}");
    }
});
