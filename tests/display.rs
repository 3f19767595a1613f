//! What a context says of itself: `Display` as Go's `String()`, `Debug` with its state.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Context, Error};
use std::time::Duration;

struct RequestId;

/// Replaces what is inside the brackets of every deadline, which depends on the clock, by the shape it must have.
fn masked(ctx: &Context) -> String {
    let text = ctx.to_string();
    let mut rest = text.as_str();
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once(".WithDeadline(") {
        let (inside, tail) = after.split_once("])").unwrap_or_else(|| panic!("unclosed deadline in {text}"));
        let (at, left) = inside.split_once(" [").unwrap_or_else(|| panic!("no remaining time in {text}"));
        assert!(!at.is_empty() && !left.is_empty(), "{text}");
        out.push_str(before);
        out.push_str(".WithDeadline(");
        out.push_str(if left.starts_with("in ") { "in" } else { "past" });
        out.push(')');
        rest = tail;
    }
    out + rest
}

#[test]
fn roots_and_cancels_read_as_in_go() {
    let background = Context::background();
    assert_eq!(background.to_string(), "context.Background");
    assert_eq!(Context::todo().to_string(), "context.TODO");
    assert_eq!(Context::default().to_string(), "context.Background");
    let (ctx, _handle) = background.with_cancel();
    assert_eq!(ctx.to_string(), "context.Background.WithCancel");
    assert_eq!(ctx.with_cancel().0.to_string(), "context.Background.WithCancel.WithCancel");
    assert_eq!(Context::todo().with_cancel().0.to_string(), "context.TODO.WithCancel");
}

#[test]
fn values_name_their_type() {
    let ctx = Context::background().with_value(1u32);
    assert_eq!(ctx.to_string(), "context.Background.WithValue(u32)");
    let named = ctx.with_value(RequestId).to_string();
    let inside = named.strip_prefix("context.Background.WithValue(u32).WithValue(").expect(&named);
    assert!(inside.ends_with("RequestId)"), "{named}");
    assert!(
        !Context::background().with_value("secret").to_string().contains("secret"),
        "the value itself is not shown"
    );
}

#[test]
fn merges_foreign_parents_and_detached_contexts_are_named() {
    let (root, _root) = Context::background().with_cancel();
    let (other, _other) = Context::todo().with_cancel();
    assert_eq!(root.with_cancel_from(&other).0.to_string(), "context.Background.WithCancel.WithCancelFrom");
    assert_eq!(
        other.with_cancel_on(std::future::pending::<()>()).0.to_string(),
        "context.TODO.WithCancel.WithCancelOn"
    );
    let detached = root.with_value(1u8).without_cancel();
    assert_eq!(detached.to_string(), "context.Background.WithCancel.WithValue(u8).WithoutCancel");
    assert_eq!(
        detached.with_cancel().0.with_value(2u16).to_string(),
        "context.Background.WithCancel.WithValue(u8).WithoutCancel.WithCancel.WithValue(u16)"
    );
}

#[test]
fn deadlines_tell_the_time_left() {
    for (ctx, _handle) in [
        Context::background().with_deadline(far()),
        Context::background().with_deadline_cause(far(), "late"),
        Context::background().with_timeout(Duration::from_secs(3600)),
        Context::background().with_timeout_cause(Duration::from_secs(3600), "late"),
    ] {
        assert_eq!(masked(&ctx), "context.Background.WithDeadline(in)", "{ctx}");
        let child = ctx.with_value(1u8).with_cancel().0;
        assert_eq!(masked(&child), "context.Background.WithDeadline(in).WithValue(u8).WithCancel", "{child}");
    }
}

#[test]
fn the_time_left_is_a_number_with_its_unit() {
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(50));
    let text = ctx.to_string();
    let left = text.split_once("[in ").and_then(|(_, rest)| rest.strip_suffix("])")).expect(&text);
    let seconds: f64 = left.strip_suffix('s').expect(&text).parse().expect(&text);
    assert!(seconds > 0.0 && seconds <= 50.0, "{text}");
}

#[test]
fn a_context_with_a_deadline_names_it_whatever_its_parents_deadline_is() {
    let (parent, _parent) = Context::background().with_deadline(far());
    let (child, _child) = parent.with_deadline(far() + Duration::from_secs(60));
    assert_eq!(masked(&child), "context.Background.WithDeadline(in).WithDeadline(in)", "{child}");
}

#[test]
fn ended_contexts_keep_their_names() {
    let (ctx, handle) = Context::background().with_cancel();
    let below = ctx.with_value(1u8).with_cancel().0;
    handle.cancel();
    assert_eq!(below.to_string(), "context.Background.WithCancel.WithValue(u8).WithCancel");
    let born = below.with_cancel().0;
    assert_eq!(born.to_string(), "context.Background.WithCancel.WithValue(u8).WithCancel.WithCancel");
    let (late, _late) = Context::background().with_deadline(past());
    assert!(late.to_string().starts_with("context.Background.WithDeadline("), "{late}");
    let (born_late, _born_late) = below.with_deadline(far());
    assert!(born_late.to_string().contains("WithCancel.WithDeadline("), "{born_late}");
}

#[test]
fn relays_are_named_too() {
    let leaf = Context::background().with_cancel().0.with_deadline(far()).0.with_value(1u8).with_cancel().0;
    assert_eq!(masked(&leaf), "context.Background.WithCancel.WithDeadline(in).WithValue(u8).WithCancel");
}

#[test]
fn width_and_flags_are_no_trouble() {
    let (ctx, _handle) = Context::background().with_cancel();
    assert!(format!("{ctx:>60}").contains("context.Background.WithCancel"));
    assert!(format!("{ctx:#?}").contains("context.Background.WithCancel"));
}

#[test]
fn debug_adds_the_state() {
    let (ctx, handle) = Context::background().with_cancel();
    let live = format!("{ctx:?}");
    assert!(live.contains("context.Background.WithCancel"), "{live}");
    handle.cancel_cause("the cause");
    let ended = format!("{ctx:?}");
    assert!(ended.contains("context.Background.WithCancel"), "{ended}");
    assert_ne!(live, ended);
    assert!(ended.to_lowercase().contains("canceled"), "{ended}");
    let (late, _late) = Context::background().with_timeout(Duration::ZERO);
    let late = format!("{late:?}").to_lowercase();
    assert!(late.contains("deadline") && late.contains("exceeded"), "{late}");
    assert!(format!("{:?}", Context::background()).contains("context.Background"));
}

#[test]
fn everything_public_has_a_debug() {
    let (ctx, handle) = Context::background().with_cancel();
    assert!(!format!("{:?}", ctx.after_func(|| ())).is_empty());
    assert!(!format!("{:?}", ctx.done()).is_empty());
    assert!(!format!("{:?}", ctx.clone().into_done()).is_empty());
    assert!(format!("{handle:?}").contains("CancelHandle"));
    assert!(!format!("{:?}", ripcord::Config::default()).is_empty());
    handle.cancel_cause(oops(5));
    assert!(format!("{:?}", ctx.cause().unwrap()).contains("Oops(5)"));
    assert_eq!(format!("{:?}", Error::Canceled), "Canceled");
    assert!(!format!("{:?}", handle.drop_guard()).is_empty());
}
