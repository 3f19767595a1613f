//! From a list to a tree: parents first, the oldest sibling first. A loop, however deep the tree.

use super::snapshot::Inspected;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Puts the contexts in the order of their tree, and says how deep each is. What has no parent here is at the top.
pub(super) fn as_tree(mut contexts: Vec<Inspected>) -> Vec<Inspected> {
    // The youngest first: a stack gives them back the other way round.
    contexts.sort_by_key(|context| (context.age, Reverse(context.id)));
    let place: HashMap<u64, usize> = contexts.iter().enumerate().map(|(at, context)| (context.id, at)).collect();
    let mut stack = Vec::new();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); contexts.len()];
    for (at, context) in contexts.iter().enumerate() {
        match context.parent.and_then(|parent| place.get(&parent)) {
            Some(&parent) => below[parent].push(at),
            None => stack.push((at, 0)),
        }
    }
    let mut contexts: Vec<_> = contexts.into_iter().map(Some).collect();
    let mut tree = Vec::with_capacity(contexts.len());
    while let Some((at, depth)) = stack.pop() {
        stack.extend(std::mem::take(&mut below[at]).into_iter().map(|child| (child, depth + 1)));
        tree.extend(contexts[at].take().map(|context| Inspected { depth, ..context }));
    }
    tree
}
