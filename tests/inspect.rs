//! The live tree: what a snapshot says, in every format, at rest and amid churn.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::inspect::{Deadline, Inspected, Snapshot, count, snapshot, snapshot_at_most};
use ripcord::{Cause, Context, Error};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

/// The list is the process's: tests that count run alone, the others beside each other.
static LIST: RwLock<()> = RwLock::new(());

fn beside() -> RwLockReadGuard<'static, ()> {
    LIST.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    LIST.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The one line with this name.
#[track_caller]
fn named<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Inspected {
    let mut found = snapshot.contexts().iter().filter(|context| context.name.as_deref() == Some(name));
    let first = found.next().unwrap_or_else(|| panic!("{name} is not in\n{snapshot}"));
    assert_eq!(found.next(), None, "{name} is there twice");
    first
}

fn with_id(snapshot: &Snapshot, id: u64) -> Option<&Inspected> {
    snapshot.contexts().iter().find(|context| context.id == id)
}

#[test]
fn what_is_there_is_listed_with_all_that_is_known() {
    let _beside = beside();
    let (server, _server) = Context::background().with_name("all: server").with_cancel();
    let (other, _other) = Context::background().with_name("all: other").with_cancel();
    let (request, request_handle) = server.with_name("all: request").with_timeout(Duration::from_secs(60));
    let (merged, _merged) = request.with_name("all: merged").with_cancel_from(&other);
    let (on, _on) = server.with_name("all: on").with_cancel_on(std::future::pending::<()>());
    let clones = [server.clone(), server.clone()];
    request_handle.cancel_cause("client gone");
    let seen = snapshot();

    let server_line = named(&seen, "all: server");
    assert_eq!((server_line.made, server_line.parent, server_line.ended), ("WithCancel", None, None));
    // One context, one cancel handle, two clones, and the three named contexts derived from it: they are values.
    assert!(server_line.handles >= 4, "{}", server_line.handles);
    assert_eq!(server_line.deadline, None);

    let request_line = named(&seen, "all: request");
    assert_eq!((request_line.made, request_line.parent), ("WithDeadline", Some(server_line.id)));
    assert_eq!(request_line.depth, server_line.depth + 1);
    assert_eq!(request_line.ended, Some(Error::Canceled));
    assert_eq!(request_line.cause.as_deref(), Some("client gone"));
    assert!(request_line.age <= server_line.age);
    let Some(Deadline::In(left)) = request_line.deadline else { panic!("{request_line:?}") };
    assert!(left <= Duration::from_secs(60));

    let merged_line = named(&seen, "all: merged");
    assert_eq!(merged_line.made, "WithCancelFrom");
    assert_eq!(merged_line.parent, Some(request_line.id));
    assert_eq!(merged_line.merged, Some(named(&seen, "all: other").id));
    assert_eq!(merged_line.cause.as_deref(), Some("client gone"), "inherited");

    assert_eq!(named(&seen, "all: on").made, "WithCancelOn");
    drop((clones, merged, on));
}

#[test]
fn an_inherited_name_is_told_once() {
    let _beside = beside();
    let (named_one, _handle) = Context::background().with_name("once").with_cancel();
    let (child, _child) = named_one.with_cancel();
    assert_eq!(child.name(), Some("once"));
    let seen = snapshot();
    let line = named(&seen, "once");
    let child_line = seen.contexts().iter().find(|context| context.parent == Some(line.id)).unwrap();
    assert_eq!(child_line.name, None);
}

#[test]
fn what_has_gone_is_gone_and_a_relay_stays() {
    let _beside = beside();
    let (top, top_handle) = Context::background().with_name("relay: top").with_cancel();
    let (child, child_handle) = top.with_name("relay: child").with_cancel();
    drop((top, top_handle));
    let seen = snapshot();
    assert_eq!(named(&seen, "relay: top").handles, 0);
    assert!(named(&seen, "relay: child").handles > 0);
    drop((child, child_handle));
    let seen = snapshot();
    assert!(
        !seen.contexts().iter().any(|context| context.name.as_deref().is_some_and(|name| name.starts_with("relay")))
    );
}

#[test]
fn passed_deadlines_are_ago() {
    let _beside = beside();
    let (ctx, _handle) = Context::background().with_name("ago").with_timeout(Duration::from_millis(2));
    assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
    let seen = snapshot();
    let line = named(&seen, "ago");
    assert!(matches!(line.deadline, Some(Deadline::Ago(_))), "{line:?}");
    assert_eq!(line.ended, Some(Error::DeadlineExceeded));
    assert!(line.age >= Duration::from_millis(2), "never early");
}

#[test]
fn born_ended_contexts_are_listed_below_their_parents() {
    let _beside = beside();
    let (parent, handle) = Context::background().with_name("born: parent").with_cancel();
    handle.cancel_cause("over");
    let (child, _child) = parent.with_name("born: child").with_cancel();
    let seen = snapshot();
    assert_eq!(named(&seen, "born: child").parent, Some(named(&seen, "born: parent").id));
    assert_eq!(named(&seen, "born: child").cause.as_deref(), Some("over"));
    drop(child);
}

#[test]
fn parents_come_before_children_and_older_siblings_before_younger() {
    let _beside = beside();
    let (root, _root) = Context::background().with_name("order").with_cancel();
    let children: Vec<_> = (0..20).map(|n| root.with_name(format!("order {n:02}")).with_cancel()).collect();
    let below: Vec<_> = children.iter().map(|(child, _)| child.with_cancel()).collect();
    let seen = snapshot();
    let mut met = BTreeSet::new();
    for context in seen.contexts() {
        assert!(met.insert(context.id), "twice: {context:?}");
        match context.parent.filter(|parent| with_id(&seen, *parent).is_some()) {
            Some(parent) => {
                assert!(met.contains(&parent), "before its parent: {context:?}");
                assert_eq!(context.depth, with_id(&seen, parent).unwrap().depth + 1);
            }
            None => assert_eq!(context.depth, 0),
        }
    }
    let names: Vec<_> = seen.contexts().iter().filter_map(|context| context.name.clone()).collect();
    let of_ours: Vec<_> = names.into_iter().filter(|name| name.starts_with("order ")).collect();
    assert!(of_ours.is_sorted(), "{of_ours:?}");
    assert_eq!(of_ours.len(), 20);
    drop(below);
}

#[test]
fn a_bound_is_kept_and_the_rest_counted() {
    let _alone = alone();
    let many: Vec<_> = (0..100).map(|_| Context::background().with_cancel()).collect();
    let seen = snapshot_at_most(10);
    assert_eq!(seen.contexts().len(), 10);
    assert_eq!(seen.left_out(), count() - 10);
    assert_eq!(count(), 100);
    assert!(seen.to_string().ends_with("and 90 more\n"));
    drop(many);
    assert_eq!(count(), 0);
    assert_eq!(snapshot().contexts().len(), 0);
}

/// A cause that, when it is told or dropped, uses contexts itself.
#[derive(Debug)]
struct Busy(Context);

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        drop(self.0.with_cancel());
        write!(f, "busy, {} there", count().min(1))
    }
}

impl std::error::Error for Busy {}

impl Drop for Busy {
    fn drop(&mut self) {
        drop(self.0.with_cancel());
    }
}

#[test]
fn causes_are_user_code() {
    let _beside = beside();
    let (mute, mute_handle) = Context::background().with_name("mute").with_cancel();
    let (busy, busy_handle) = Context::background().with_name("busy").with_cancel();
    mute_handle.cancel_cause(Cause::new(Mute));
    busy_handle.cancel_cause(Cause::new(Busy(Context::background().with_cancel().0)));
    let seen = snapshot();
    assert_eq!(named(&seen, "mute").cause.as_deref(), Some("(its display panicked)"));
    assert_eq!(named(&seen, "busy").cause.as_deref(), Some("busy, 1 there"));
    drop((mute, busy, busy_handle));
}

/// Those who stay are in every snapshot, once, under their parents, whatever comes and goes beside and below them.
#[test]
fn amid_churn_nobody_who_stays_is_overlooked_or_told_twice() {
    let _alone = alone();
    within_a_minute(|| {
        let over = AtomicBool::new(false);
        let (root, _root) = Context::background().with_name("churn").with_cancel();
        thread::scope(|scope| {
            for n in 0..4 {
                let (root, over) = (&root, &over);
                scope.spawn(move || {
                    let mut random = Random::new(n);
                    let mut kept: Vec<_> = Vec::new();
                    while !over.load(SeqCst) {
                        match random.below(4) {
                            0 if !kept.is_empty() => drop(kept.swap_remove(random.below(kept.len()))),
                            1 => kept.push(root.with_timeout(Duration::from_micros(300))),
                            2 => root.with_cancel().1.cancel_cause("churn"),
                            _ => kept.push(root.with_cancel()),
                        }
                        if kept.len() > 300 {
                            kept.truncate(30);
                        }
                    }
                });
            }
            let staying: Vec<_> = (0..300).map(|n| root.with_name(format!("stay {n}")).with_cancel()).collect();
            for round in 0..stress(60) {
                let seen = snapshot();
                let root_id = named(&seen, "churn").id;
                let mut names = BTreeSet::new();
                let mut ids = BTreeSet::new();
                for context in seen.contexts() {
                    assert!(ids.insert(context.id));
                    if let Some(name) = context.name.as_ref().filter(|name| name.starts_with("stay")) {
                        assert_eq!((context.parent, context.depth, context.ended), (Some(root_id), 1, None));
                        names.insert(name.clone());
                    }
                }
                assert_eq!(names.len(), staying.len(), "round {round}");
            }
            over.store(true, SeqCst);
        });
        drop(root);
    });
    eventually("all are struck out", || count() == 0);
}

/// Canceling takes no lock of the list: it goes on inside a snapshot's own user code, and beside many of them.
#[test]
fn cancels_go_on_beside_snapshots() {
    let _alone = alone();
    within_a_minute(|| {
        for _ in 0..stress(20) {
            let (root, handle) = Context::background().with_cancel();
            let children: Vec<_> = (0..2_000).map(|_| root.with_cancel()).collect();
            thread::scope(|scope| {
                scope.spawn(|| while snapshot().contexts().iter().any(|context| context.ended.is_none()) {});
                scope.spawn(|| handle.cancel_cause("now"));
            });
            drop(children);
        }
    });
}

#[test]
fn a_chain_of_any_depth_is_listed_on_a_small_stack() {
    let _alone = alone();
    let small = thread::Builder::new().stack_size(64 * 1024);
    let depth = 50_000;
    let test = move || {
        let (mut leaf, handle) = Context::background().with_cancel();
        for _ in 1..depth {
            leaf = leaf.with_cancel().0;
        }
        let seen = snapshot();
        assert_eq!(seen.contexts().len(), depth);
        assert!(seen.contexts().iter().enumerate().all(|(n, context)| context.depth == n));
        for text in [seen.to_string(), seen.to_dot(), seen.to_json(), seen.to_html()] {
            assert!(text.len() < 400 * depth, "indenting does not grow with the depth");
        }
        drop((leaf, handle));
    };
    small.spawn(test).unwrap().join().unwrap();
    assert_eq!(count(), 0);
}

const HOSTILE: &str = "<script>alert(\"1\" & '2')</script>\\ \n\u{7}é";

fn hostile() -> (Snapshot, Vec<Context>) {
    let (ctx, handle) = Context::background().with_name(HOSTILE).with_timeout(Duration::from_secs(60));
    let (child, _child) = ctx.with_cancel();
    handle.cancel_cause(HOSTILE);
    (snapshot(), vec![ctx, child])
}

#[test]
fn json_is_read_back() {
    let _beside = beside();
    let (seen, _kept) = hostile();
    let json: Value = serde_json::from_str(&seen.to_json()).unwrap();
    assert_eq!(json["left_out"], 0);
    assert!(json["taken"].as_str().unwrap().ends_with('Z'));
    let lines = json["contexts"].as_array().unwrap();
    assert_eq!(lines.len(), seen.contexts().len());
    for (line, context) in lines.iter().zip(seen.contexts()) {
        assert_eq!(line["id"].as_u64(), Some(context.id));
        assert_eq!(line["parent"].as_u64(), context.parent);
        assert_eq!(line["merged"].as_u64(), context.merged);
        assert_eq!(line["depth"].as_u64(), Some(context.depth as u64));
        assert_eq!(line["name"].as_str(), context.name.as_deref());
        assert_eq!(line["cause"].as_str(), context.cause.as_deref());
        assert_eq!(line["made"].as_str(), Some(context.made));
        assert_eq!(line["handles"].as_u64(), Some(context.handles as u64));
        assert!((line["age_ms"].as_f64().unwrap() - context.age.as_secs_f64() * 1e3).abs() < 0.01);
        let deadline = match context.deadline {
            Some(Deadline::In(time)) => Some(time.as_secs_f64() * 1e3),
            Some(Deadline::Ago(time)) => Some(-time.as_secs_f64() * 1e3),
            None => None,
        };
        assert_eq!(line["deadline_ms"].as_f64().map(f64::round), deadline.map(f64::round));
    }
    assert!(
        lines.iter().any(|line| line["name"] == HOSTILE && line["cause"] == HOSTILE && line["state"] == "canceled")
    );
}

/// Every tag is closed in order, nothing comes from elsewhere, and nothing that users say is markup.
#[test]
fn the_page_is_well_formed_and_self_contained() {
    let _beside = beside();
    let (seen, _kept) = hostile();
    let page = seen.to_html();
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).filter(|tag| !tag.starts_with('!')) {
        let tag = &tag[..tag.find('>').expect("every tag ends")];
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed)),
            None if name == "meta" => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, [""; 0]);
    for foreign in ["<script", "src=", "url(", "http", "@import", "<link", "<img", "<iframe", "onclick"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot; &amp; '2')&lt;/script&gt;"));
    assert_eq!(page.matches("<tr ").count(), seen.contexts().len());
}

/// Strings are closed, braces match, and every context and edge is there.
#[test]
fn the_graph_is_well_formed() {
    let _beside = beside();
    let (seen, _kept) = hostile();
    let graph = seen.to_dot();
    let (mut quoted, mut escaped, mut depth) = (false, false, 0);
    for c in graph.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '\n' => assert!(!quoted, "a string goes over the end of its line"),
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    assert_eq!((quoted, depth), (false, 0));
    for context in seen.contexts() {
        assert!(graph.contains(&format!("  n{} [label=", context.id)));
        if let Some(parent) = context.parent {
            assert!(graph.contains(&format!("  n{parent} -> n{};", context.id)));
        }
    }
}

#[test]
fn the_text_has_one_line_for_each() {
    let _beside = beside();
    let (seen, _kept) = hostile();
    let text = seen.to_string();
    assert_eq!(text.lines().count(), 1 + seen.contexts().len(), "{text}");
    assert!(text.contains("WithDeadline \"<script>"), "{text}");
}
