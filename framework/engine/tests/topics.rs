//! Topics are refused in the same words by every backend.

use futures::executor::block_on;
use levada_core::backend::TopicSpec;
use levada_engine::Levada;

/// Runs a check on topics in memory and in a folder.
fn on_both(check: impl Fn(&Levada)) {
    check(&Levada::in_memory());
    let folder = tempfile::tempdir().expect("a folder for the test");
    check(&Levada::open(folder.path()).expect("it is new"));
}

#[test]
fn a_topic_that_is_open_with_another_type_is_refused_and_both_types_are_named() {
    on_both(|levada| {
        let numbers = levada.topic::<u32>("numbers").create().unwrap();
        let said = "topic `numbers` has records of type `u32`, not `alloc::string::String`: open \
                    it as it is, or use another name";
        let created = levada.topic::<String>("numbers").create().unwrap_err();
        assert_eq!(created.to_string(), said);
        let opened = levada.topic::<String>("numbers").open().unwrap_err();
        assert_eq!(opened.to_string(), said);

        levada.topic::<u32>("numbers").open().unwrap();
        drop(numbers);
        // Nothing reads or writes numbers any more.
        levada.topic::<String>("numbers").open().unwrap();
    });
}

#[test]
fn a_topic_that_was_refused_is_not_open() {
    on_both(|levada| {
        let spec = TopicSpec {
            partitions: 2,
            codec: "msgpack/1".to_owned(),
        };
        levada.backend().create_topic("numbers", &spec).unwrap();
        let other = levada.topic::<String>("numbers").partitions(3).open();
        assert!(other.unwrap_err().to_string().contains("2 partitions"));
        levada.topic::<u32>("numbers").open().unwrap();
    });
}

#[test]
fn names_that_a_folder_cannot_have_are_refused_in_memory_too() {
    on_both(|levada| {
        levada.topic::<u32>("orders").create().unwrap();
        let said = |name: &str| levada.topic::<u32>(name).create().unwrap_err().to_string();
        assert_eq!(
            said("Orders"),
            "topic `Orders` cannot be created: topic `orders` exists already"
        );
        assert!(said("a/b").starts_with("topic name \"a/b\" is not allowed: "));

        let backend = levada.backend();
        let rule = "group name \"a b\" is not allowed: it has another character; use 1 to 128 of";
        let read = backend.positions("a b", "orders").unwrap_err().to_string();
        assert!(read.starts_with(rule), "{read}");
        let committed = block_on(backend.commit("a b", vec![("orders".to_owned(), 0, 1)]));
        let committed = committed.unwrap_err().to_string();
        assert!(committed.starts_with(rule), "{committed}");
    });
}
