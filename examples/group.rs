//! Scatter and gather with a limit: shards are asked a few at a time, and the first that fails stops the rest.
//!
//! ```text
//! cargo run --example group
//! ```

use ripcord::{Cause, Context, Error, Group};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How many shards are asked at a time.
const AT_ONCE: usize = 4;

#[derive(Debug, PartialEq)]
struct Down {
    shard: u64,
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} is down", self.shard)
    }
}

impl std::error::Error for Down {}

/// How many are being asked, the most that ever were, and how many were asked at all.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

/// Asks one shard, which takes a moment, unless the context ends first.
fn ask(ctx: &Context, shard: u64, down: Option<u64>, load: &Load) -> Result<u64, Cause> {
    load.all.fetch_add(1, Ordering::Relaxed);
    load.most.fetch_max(load.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    let interrupted = ctx.wait_timeout(Duration::from_millis(2));
    load.now.fetch_sub(1, Ordering::SeqCst);
    match interrupted {
        Some(_) => Err(ctx.cause().expect("an ended context has a cause")),
        None if down == Some(shard) => Err(Cause::new(Down { shard })),
        None => Ok(shard * shard),
    }
}

/// Asks all shards and adds up what they say, or tells what went wrong first.
fn gather(request: &Context, shards: u64, down: Option<u64>, load: &Arc<Load>) -> Result<u64, Cause> {
    let group = Group::new(request).limit(AT_ONCE);
    let (tell, answers) = mpsc::channel();
    for shard in 0..shards {
        let (tell, load) = (tell.clone(), Arc::clone(load));
        // Blocks while as many as allowed are running; refused as soon as one has failed.
        let started = group.spawn(move |ctx| {
            let answer = ask(ctx, shard, down, &load)?;
            tell.send(answer).map_err(Cause::new)
        });
        if started.is_err() {
            break;
        }
    }
    drop(tell);
    group.wait()?;
    Ok(answers.iter().sum())
}

fn main() {
    let (request, _handle) = Context::background().with_timeout(Duration::from_secs(60));

    let load = Arc::default();
    let sum = gather(&request, 40, None, &load).expect("no shard is down");
    let most = load.most.load(Ordering::SeqCst);
    println!("all well:  40 shards asked, at most {most} at once, they add up to {sum}");
    assert_eq!(sum, (0..40).map(|shard| shard * shard).sum());
    assert_eq!(load.all.load(Ordering::SeqCst), 40);
    assert!(most <= AT_ONCE);

    let load = Arc::default();
    let cause = gather(&request, 1_000, Some(9), &load).expect_err("shard 9 is down");
    let asked = load.all.load(Ordering::SeqCst);
    println!("one down:  {asked} of 1000 shards asked, because {cause}");
    assert_eq!(cause.downcast_ref(), Some(&Down { shard: 9 }), "the first error, by its type");
    assert!(asked < 1_000, "the rest was stopped");
    assert_eq!(load.now.load(Ordering::SeqCst), 0, "and nobody is left");
    assert!(!request.is_done(), "a group's end does not touch its parent");

    // The request's own end stops the group as well, and says why.
    let (impatient, _handle) = request.with_timeout_cause(Duration::from_millis(5), "the client waits no longer");
    let load = Arc::default();
    let cause = gather(&impatient, 1_000, None, &load).expect_err("a thousand shards take 500 ms");
    println!("too late:  {} of 1000 shards asked, because {cause}", load.all.load(Ordering::SeqCst));
    assert_eq!(cause.error(), Error::DeadlineExceeded);
    assert_eq!(cause.to_string(), "the client waits no longer");
}
