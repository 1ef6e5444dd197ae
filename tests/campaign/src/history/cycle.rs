//! Finds a cycle in a graph.

use std::collections::HashMap;

use super::anomaly::Dependency;

/// From one node to another, and why.
pub(super) type Edge = (u32, u32, Dependency);

/// A cycle in a graph of so many nodes, if it has one: its nodes, each with why the next one in the
/// cycle comes after it.
///
/// Nodes from which nothing goes on are in no cycle, so they are taken away until none is left;
/// from any other node the way goes on for ever, so it comes back.
pub(super) fn find(mut edges: Vec<Edge>, nodes: usize) -> Option<Vec<(u32, Dependency)>> {
    edges.sort_unstable();
    edges.dedup_by_key(|(from, to, _)| (*from, *to));
    let mut leaving = vec![0_u32; nodes];
    for (from, ..) in &edges {
        leaving[*from as usize] += 1;
    }
    edges.sort_unstable_by_key(|(_, to, _)| *to);
    let into = |node: u32| {
        let first = edges.partition_point(|(_, to, _)| *to < node);
        edges[first..]
            .iter()
            .take_while(move |(_, to, _)| *to == node)
    };
    let ends = (0..).zip(&leaving).filter(|(_, leaving)| **leaving == 0);
    let mut ends: Vec<u32> = ends.map(|(node, _)| node).collect();
    while let Some(end) = ends.pop() {
        for (from, ..) in into(end) {
            leaving[*from as usize] -= 1;
            if leaving[*from as usize] == 0 {
                ends.push(*from);
            }
        }
    }
    let left = edges
        .iter()
        .filter(|(from, to, _)| leaving[*from as usize] > 0 && leaving[*to as usize] > 0);
    let next: HashMap<u32, (u32, Dependency)> =
        left.map(|&(from, to, why)| (from, (to, why))).collect();
    walk(&next)
}

/// Follows the way from any node until it comes back to where it was.
fn walk(next: &HashMap<u32, (u32, Dependency)>) -> Option<Vec<(u32, Dependency)>> {
    let mut node = *next.keys().min()?;
    let (mut places, mut way) = (HashMap::new(), Vec::new());
    loop {
        if let Some(first) = places.insert(node, way.len()) {
            return Some(way.split_off(first));
        }
        let (to, why) = next[&node];
        way.push((node, why));
        node = to;
    }
}

#[cfg(test)]
mod tests {
    use super::{Dependency::WriteRead, *};

    fn cycle(edges: &[(u32, u32)], nodes: usize) -> Option<Vec<u32>> {
        let edges = edges.iter().map(|(from, to)| (*from, *to, WriteRead));
        let cycle = find(edges.collect(), nodes)?;
        Some(cycle.into_iter().map(|(node, _)| node).collect())
    }

    #[test]
    fn a_cycle_is_found_behind_and_before_what_is_none() {
        let way_in_and_out = [(0, 1), (1, 2), (2, 3), (3, 1), (3, 4), (4, 5)];
        assert_eq!(cycle(&way_in_and_out, 6).unwrap(), [1, 2, 3]);
        assert_eq!(cycle(&[(0, 1), (1, 0)], 2).unwrap().len(), 2);
    }

    #[test]
    fn what_has_an_order_has_no_cycle() {
        assert_eq!(cycle(&[], 3), None);
        assert_eq!(cycle(&[(0, 1), (0, 2), (1, 3), (2, 3), (0, 1)], 4), None);
    }
}
