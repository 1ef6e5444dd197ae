//! Which public items a reader learns by an example that asserts, and which not.
//!
//! An item is taught by an example of its own, by one that its documentation links to, or by the
//! one of the module that it is in. The front page of a package does not count: it shows the whole,
//! and covers nothing.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

type Id = u32;

/// What rustdoc knows of a package, as far as examples go.
#[derive(Debug, Deserialize)]
pub(crate) struct Docs {
    root: Id,
    index: HashMap<Id, Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    name: Option<String>,
    docs: Option<String>,
    /// What the documentation links to.
    #[serde(default)]
    links: HashMap<String, Id>,
    /// One entry, by kind.
    inner: HashMap<String, Value>,
}

/// What an example is asked for. A constant says what it is by its value.
const TAUGHT: &[&str] = &[
    "struct",
    "enum",
    "union",
    "trait",
    "function",
    "type_alias",
    "macro",
    "proc_macro",
];

impl Docs {
    /// The paths of public items that no example teaches, in order.
    pub(crate) fn untaught(&self) -> Vec<String> {
        let mut items = BTreeMap::new();
        self.walk(self.root, "", &mut items);
        let untaught = items.into_values().filter(|(_, taught)| !taught);
        let mut paths: Vec<_> = untaught.map(|(path, _)| path).collect();
        paths.sort();
        paths
    }

    /// Adds what a module shows: for each item its shortest path, and whether it is taught there
    /// or elsewhere.
    fn walk(&self, module: Id, above: &str, items: &mut BTreeMap<Id, (String, bool)>) {
        let Some(item) = self.index.get(&module) else {
            return;
        };
        let path = format!("{above}{}::", item.name.as_deref().unwrap_or_default());
        let is_taught_here = module != self.root && item.has_example();
        for id in item.ids("module", "items") {
            let Some((id, shown)) = self.shown(id) else {
                continue;
            };
            if shown.inner.contains_key("module") {
                self.walk(id, &path, items);
            } else if TAUGHT.iter().any(|kind| shown.inner.contains_key(*kind)) {
                let name = shown.name.as_deref().unwrap_or_default();
                let (shortest, taught) = items.entry(id).or_default();
                let here = format!("{path}{name}");
                if shortest.is_empty() || here.len() < shortest.len() {
                    *shortest = here;
                }
                *taught |= is_taught_here || self.teaches(shown);
            }
        }
    }

    /// What stands under this number: for a re-export, what it is of. None of another package.
    fn shown(&self, id: Id) -> Option<(Id, &Item)> {
        let item = self.index.get(&id)?;
        match item.inner.get("use") {
            None => Some((id, item)),
            Some(import) => {
                let id = Id::try_from(import["id"].as_u64()?).ok()?;
                Some((id, self.index.get(&id)?))
            }
        }
    }

    /// Whether an item has an example, or leads to one.
    fn teaches(&self, item: &Item) -> bool {
        let mut linked = item.links.values().filter_map(|id| self.index.get(id));
        item.has_example() || linked.any(Item::has_example)
    }
}

impl Item {
    fn has_example(&self) -> bool {
        has_example(self.docs.as_deref().unwrap_or_default())
    }

    /// The numbers in a list of this kind of item.
    fn ids(&self, kind: &str, list: &str) -> impl Iterator<Item = Id> {
        let list = self
            .inner
            .get(kind)
            .and_then(|inner| inner[list].as_array());
        let numbers = list.into_iter().flatten().filter_map(Value::as_u64);
        numbers.filter_map(|number| Id::try_from(number).ok())
    }
}

/// Whether one of the code blocks is run as a test, and asserts something.
fn has_example(docs: &str) -> bool {
    let mut blocks = docs.split("```").skip(1).step_by(2);
    blocks.any(|block| {
        let (language, code) = block.split_once('\n').unwrap_or((block, ""));
        matches!(language.trim(), "" | "rust") && code.contains("assert")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "Says.\n\n```\nassert_eq!(1 + 1, 2);\n```";

    /// A package `p` whose front page has an example, with a struct `p::Part` and a struct
    /// `p::inner::Deep`, and with the method `len` that either may link to.
    fn package(part: &str, links: &str, inner: &str) -> Docs {
        let quoted = |docs: &str| serde_json::to_string(docs).unwrap();
        let (part, inner, example) = (quoted(part), quoted(inner), quoted(EXAMPLE));
        let json = format!(
            r#"{{ "root": 0, "format_version": 1, "index": {{
                "0": {{ "name": "p", "docs": {example}, "links": {{}},
                       "inner": {{ "module": {{ "items": [1, 3] }} }} }},
                "1": {{ "name": null, "docs": null, "links": {{}},
                       "inner": {{ "use": {{ "source": "a::Part", "id": 2 }} }} }},
                "2": {{ "name": "Part", "docs": {part}, "links": {{ {links} }},
                       "inner": {{ "struct": {{}} }} }},
                "3": {{ "name": "inner", "docs": {inner}, "links": {{}},
                       "inner": {{ "module": {{ "items": [4, 5] }} }} }},
                "4": {{ "name": "Deep", "docs": "Says.", "links": {{}},
                       "inner": {{ "struct": {{}} }} }},
                "5": {{ "name": "MOST", "docs": "Says.", "links": {{}},
                       "inner": {{ "constant": {{}} }} }},
                "6": {{ "name": "len", "docs": {example}, "links": {{}},
                       "inner": {{ "function": {{}} }} }}
            }} }}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn items_without_an_example_are_named_also_where_the_front_page_has_one() {
        let docs = package("Says.", "", "Says.");
        assert_eq!(docs.untaught(), ["p::Part", "p::inner::Deep"]);
    }

    #[test]
    fn an_example_teaches_its_item_and_that_of_a_module_what_is_in_it() {
        assert_eq!(package(EXAMPLE, "", "Says.").untaught(), ["p::inner::Deep"]);
        assert_eq!(package("Says.", "", EXAMPLE).untaught(), ["p::Part"]);
    }

    #[test]
    fn a_link_teaches_if_it_leads_to_an_example() {
        let to_method = package("See [`len`].", r#""len": 6"#, EXAMPLE);
        assert_eq!(to_method.untaught(), [""; 0]);
        let to_bare = package("See [`Deep`].", r#""Deep": 4"#, EXAMPLE);
        assert_eq!(to_bare.untaught(), ["p::Part"]);
    }

    #[test]
    fn a_block_that_is_not_run_or_asserts_nothing_is_no_example() {
        assert!(has_example(EXAMPLE));
        assert!(has_example(
            "```text\na drawing\n```\n\n```rust\nassert!(true);\n```"
        ));
        for docs in [
            "An assertion, in words.",
            "```\nlet n = 1 + 1;\n```",
            "```no_run\nassert!(true);\n```",
            "```text\nassert!(true);\n```\n\nassert that",
        ] {
            assert!(!has_example(docs), "{docs}");
        }
    }
}
