//! The rows, numbered as in the project's list of goals. What each contains:
//!
//! * P1, P2: a child of one shared live parent, created and dropped (both handles); the tails are of single operations with
//!   8 threads, two looks at the clock included. Go: `WithCancel` and its `cancel`, which is how it lets go.
//! * P3: the same with a 30 s timeout; tokio: a child token and a `timeout` polled once, a runtime per thread.
//! * P4: one look at a live child, all threads at the same one.
//! * P5: single calls while another thread cancels a parent of 100k: of that parent, or of its last children; two looks at
//!   the clock included. The worst call of a fan-out (median over fan-outs), and p99.99 of all calls: who blocks through a
//!   whole fan-out makes few. Calls in which the thread was put aside for other programs are left out (not Go's).
//! * P6: one cancel of a parent, divided by its children; building and dropping the tree is outside.
//! * P7: a `done()` polled once, pending, and dropped, all threads on one context; a pending one polled again. Go's `Done`
//!   registers nothing: no row of its.
//! * P8: one cancel of a parent of 10k, on each child a pending `done()` whose waker counts; per waiter. Go: 10k goroutines,
//!   until the last has run, so its scheduler is in it.
//! * P9: a deadline of 5 minutes with no parent, armed and released, with so many others pending 4 to 14 minutes ahead; tokio:
//!   a `timeout` polled once, on a runtime whose one worker drives the timer; pingora: its `fast_timeout`, the same.
//! * P10: 100k deadlines spread over a second, each calling a function (contexts) or a waker (futures) that reads the clock;
//!   processor time is that of the whole process in that second. tokio's and pingora's windows are theirs; pingora fires
//!   early, so it is shown and not compared with. Without a window: ours and those that have none. Ours also with a million, to see
//!   what the one thread that fires them has left.
//! * P11: a deadline of an hour moved 10 ms further; tokio: `Sleep::reset`.
//! * P12: what 100k kept children added to the heap, bytes as asked for, divided: parent's share and timer included, with so
//!   many other timers pending.
//! * P13: a chain, every level's handles kept: canceled from the top, then dropped from the top, and both together, per level (Go
//!   frees nothing within these: its collector does). We on a stack of 64 KiB, rivals on 256 MiB; the mutex recurses with its locks
//!   held, and is not asked for a million.
//! * P14: a look-up whose binding is the nth node from the leaf, cancelable nodes and values of four other types between;
//!   among 49 types, each bound once: eight of them in turn, 14 to 98 nodes deep; absent: eight types bound nowhere,
//!   in turn. Tokens hold no values.
//! * P15: how much a process of its own grows while one root has ten million short children (`--full`: a hundred million),
//!   plain or with a timeout; or at a pace of a million with a timeout a second, ten thousand of them alive, for ten seconds
//!   (`--full`: a minute). And how often a second an idle timer's thread wakes
//!   up, five seconds after 10,000 timers were released.

use super::cells::*;
use super::golang::{self, go, go_figures};
use super::heavy::{
    BIG_STACK, Call, SMALL_STACK, chain, during, grown, grown_by_pace, idle, pass_child, short_chain, tail, wake,
};
use super::table::Target::{Most, Of, Ratio};
use super::table::{Cell, Cells, Effort, Row, known, nothing, several, turned, warm};
use super::timers::late;
use crate::support::{Contender, FEW, MOTLEY, ParkingLot, Pingora, Ripcord, StdMutex, Tokio, keep_pending};
use ripcord::Config;
use std::any::Any;
use std::process::Command;
use std::time::Duration;

/// Rows, and what is to be kept while they are measured. Asked with what is wanted at all.
pub(crate) type Stage = Box<dyn FnOnce(&dyn Fn(&str) -> bool) -> (Vec<Row>, Box<dyn Any>)>;

/// One cell per contender that has trees.
macro_rules! each {
    ($cell:ident($($arg:expr),*)) => {
        [$cell::<Ripcord>($($arg),*), $cell::<StdMutex>($($arg),*), $cell::<ParkingLot>($($arg),*), $cell::<Tokio>($($arg),*)]
    };
}

/// The same where a token has nothing to show.
macro_rules! contexts {
    ($cell:ident($($arg:expr),*)) => {
        [$cell::<Ripcord>($($arg),*), $cell::<StdMutex>($($arg),*), $cell::<ParkingLot>($($arg),*), None]
    };
}

fn with_go([ours, mutex, parking_lot, tokio]: [Option<Cell>; 4], go: Option<Cell>) -> Cells {
    [ours, mutex, parking_lot, tokio, None, go]
}

/// Go's figures in one run, times `scale`.
fn several_of_go<const N: usize>(effort: Effort, request: String, scale: f64) -> [Option<Cell>; N] {
    match golang::version(effort) {
        Some(_) => {
            let mut figures = go_figures(request);
            several(move || figures().map(|figure: f64| figure * scale))
        }
        None => nothing(),
    }
}

fn once_of_go(effort: Effort, request: String, scale: f64) -> Option<Cell> {
    let [cell] = several_of_go(effort, request, scale);
    cell
}

fn warm_of_go(effort: Effort, request: String) -> Option<Cell> {
    Some(Box::new(warm(once_of_go(effort, request, 1.0)?)))
}

pub(crate) fn stages(e: Effort) -> Vec<Stage> {
    let mut stages: Vec<Stage> = vec![
        Box::new(move |wanted| (if wanted("P12") { memory(e) } else { Vec::new() }, Box::new(()))),
        Box::new(move |_| (trees(e), Box::new(()))),
        Box::new(move |_| (looks(e), Box::new(()))),
        Box::new(move |_| (long(e), Box::new(()))),
        Box::new(move |_| (firing(e), Box::new(()))),
        Box::new(move |_| (pending(e, 0), Box::new(()))),
    ];
    for count in [10_000, 1_000_000] {
        stages.push(Box::new(move |wanted| {
            if !wanted("P9") && !wanted("P12") {
                return (Vec::new(), Box::new(()));
            }
            let kept = keep(e, count.min(e.million));
            (pending(e, count), kept)
        }));
    }
    stages.push(Box::new(move |_| (left(e), Box::new(()))));
    stages
}

fn memory(e: Effort) -> Vec<Row> {
    let go = |timed: u8| match golang::version(e) {
        Some(_) => golang::ask(&format!("heap {timed} {}", e.widest)).into_iter().map(known).collect(),
        None => vec![None, None],
    };
    let plain: [Heap; 4] = each!(heap_child(e));
    let timed: [Heap; 4] = each!(heap_timed(e));
    let (mut go_plain, mut go_timed) = (go(0), go(1));
    let row = |id, work, unit, heap: [f64; 4], go: &mut Vec<Option<Cell>>, targets| {
        Row::new(id, work, unit, with_go(heap.map(known), go.remove(0)), targets).rounds(1)
    };
    vec![
        row("P12", "heap per child", "B", plain.map(|heap| heap.0), &mut go_plain, &[Most(128.0)]),
        row("P12/a", "allocations per child", "", plain.map(|heap| heap.1), &mut go_plain, &[Most(1.05)]),
        row("P12/t", "heap per child with timeout", "B", timed.map(|heap| heap.0), &mut go_timed, &[Most(160.0)]),
        row("P12/ta", "allocations per child with timeout", "", timed.map(|heap| heap.1), &mut go_timed, &[Most(1.05)]),
    ]
}

#[rustfmt::skip]
fn trees(e: Effort) -> Vec<Row> {
    let [p50, p99, p999, p9999] = {
        let [ours, mutex, parking_lot, tokio] = each!(tail_of_8(e));
        turned([ours, mutex, parking_lot, tokio, nothing(), several_of_go(e, format!("tail 8 {}", e.widest / 20), 1e-3)])
    };
    let widest = e.widest;
    vec![
        Row::new("P1", "child: create, drop; 1 thread", "ns", with_go(each!(child(e, 1)), go(e, "child 1")), &[Ratio(0.35)]),
        Row::new("P2", "the same, 2 threads", "ns", with_go(each!(child(e, 2)), go(e, "child 2")), &[Ratio(0.15), Of(1.2, "P1")]).threads(2),
        Row::new("P2/8", "the same, 8 threads", "ns", with_go(each!(child(e, 8)), go(e.on(8), "child 8")), &[Ratio(0.15), Of(1.11, "P2")]).threads(8),
        Row::new("P2/8p50", "single ones of 8 threads, p50", "us", p50, &[]).threads(8),
        Row::new("P2/8p99", "the same, p99", "us", p99, &[]).threads(8),
        Row::new("P2/8p99.9", "the same, p99.9", "us", p999, &[Most(5.0)]).threads(8),
        Row::new("P2/8p99.99", "the same, p99.99", "us", p9999, &[]).threads(8),
        Row::new("P3", "child, 30 s timeout; 1 thread", "ns", with_go(each!(timed(e, 1)), go(e, "timed 1")), &[Ratio(0.2)]),
        Row::new("P3/2", "the same, 2 threads", "ns", with_go(each!(timed(e, 2)), go(e, "timed 2")), &[Ratio(0.2), Of(1.2, "P3")]).threads(2),
        Row::new("P3/8", "the same, 8 threads", "ns", with_go(each!(timed(e, 8)), go(e.on(8), "timed 8")), &[]).threads(8),
        Row::new("P4", "is_done while live; 1 thread", "ns", with_go(each!(look(e, 1)), go(e, "look 1")), &[Most(1.0)]),
        Row::new("P4/2", "the same, 2 threads", "ns", with_go(each!(look(e, 2)), go(e, "look 2")), &[Most(1.0), Of(1.1, "P4")]).threads(2),
        Row::new("P4/8", "the same, 8 threads", "ns", with_go(each!(look(e, 8)), go(e.on(8), "look 8")), &[]).threads(8),
        Row::new("P6/1", "cancel a parent of 1, per child", "ns", with_go(each!(fan_out(e, 1)), go(e, "cancel 1")), &[Ratio(0.4)]),
        Row::new("P6/10", "of 10", "ns", with_go(each!(fan_out(e, 10)), per_child(go(e, "cancel 10"), 10)), &[Ratio(0.4)]),
        Row::new("P6/1k", "of 1,000", "ns", with_go(each!(fan_out(e, 1000)), per_child(go(e, "cancel 1000"), 1000)), &[Ratio(0.4)]),
        Row::new("P6/100k", "of 100,000", "ns", with_go(each!(fan_out_once(widest)), per_child(go(e, format!("cancel {widest}")), widest)), &[Ratio(0.4)]),
        Row::new("P7", "done(): poll, drop; 1 thread", "ns", with_go(each!(done(e, 1)), None), &[Ratio(0.5)]),
        Row::new("P7/2", "the same, 2 threads", "ns", with_go(each!(done(e, 2)), None), &[Ratio(0.5), Of(1.2, "P7")]).threads(2),
        Row::new("P7/8", "the same, 8 threads", "ns", with_go(each!(done(e, 8)), None), &[]).threads(8),
        Row::new("P7/again", "done(): poll again", "ns", with_go(each!(done_again(e)), None), &[Most(10.0)]),
        Row::new("P11", "push a deadline back", "ns", with_go(each!(push_back(e)), None), &[Most(5.0)]),
    ]
}

fn tail_of_8<C: Contender>(e: Effort) -> [Option<Cell>; 4] {
    tail::<C>(e, 8, pass_child::<C>)
}

fn per_child(cell: Option<Cell>, width: usize) -> Option<Cell> {
    let mut cell = cell?;
    Some(Box::new(move || cell() / width as f64))
}

#[rustfmt::skip]
fn looks(e: Effort) -> Vec<Row> {
    vec![
        Row::new("P14/1", "find a value at depth 1", "ns", with_go(contexts!(find(e, 1, FEW)), go(e, "find 1")), &[Most(3.0)]),
        Row::new("P14/10", "at depth 10", "ns", with_go(contexts!(find(e, 10, FEW)), go(e, "find 10")), &[Most(15.0)]),
        Row::new("P14/100", "at depth 100", "ns", with_go(contexts!(find(e, 100, FEW)), go(e, "find 100")), &[Most(60.0)]),
        Row::new("P14/1k", "at depth 1000", "ns", with_go(contexts!(find(e, 1000, FEW)), go(e, "find 1000")), &[]),
        Row::new("P14/many", "from depth 100, among 49 types", "ns", with_go(contexts!(find_other(e, 100, MOTLEY)), None), &[]),
        Row::new("P14/no", "absent, from depth 100", "ns", with_go(contexts!(miss(e, 100, FEW)), go(e, "miss 100")), &[Most(3.0)]),
        Row::new("P14/manyno", "absent, from there", "ns", with_go(contexts!(miss(e, 100, MOTLEY)), None), &[]),
    ]
}

/// What takes long: a few rounds.
#[rustfmt::skip]
fn long(e: Effort) -> Vec<Row> {
    let (few, some) = (e.most, e.most * 3);
    let calls = |call: Call, name: &str| -> [Cells; 2] {
        let [ours, mutex, parking_lot, tokio] = each!(during(e, call));
        turned([ours, mutex, parking_lot, tokio, nothing(), several_of_go(e, format!("{name} {} 5", e.widest), 1e-3)])
    };
    let ([done_worst, done], [cause_worst, cause]) = (calls(Call::IsDone, "is_done"), calls(Call::Cause, "cause"));
    let ([derive_worst, derive], [cancel_worst, cancel]) = (calls(Call::Derive, "derive"), calls(Call::CancelSibling, "sibling"));
    let waiters = e.widest / 10;
    let [short_cancel, short_drop, short_both] = {
        let [ours, mutex, parking_lot, tokio] = each!(short_chain(1000.min(e.million)));
        let go = [warm_of_go(e, "chain 1000".into()), None, None];
        turned([ours, mutex, parking_lot, tokio, nothing(), go])
    };
    let [deep_cancel, deep_drop, deep_both] = turned([
        chain::<Ripcord>(e.million, SMALL_STACK), nothing(), nothing(), chain::<Tokio>(e.million, BIG_STACK), nothing(),
        [once_of_go(e, format!("chain {}", e.million), 1.0), None, None],
    ]);
    vec![
        Row::new("P5/done", "is_done in a fan-out of 100k, worst", "us", done_worst, &[]).threads(2).rounds(some),
        Row::new("P5/done99.99", "the same, p99.99", "us", done, &[Most(20.0)]).threads(2).rounds(some),
        Row::new("P5/cause", "cause in it, worst", "us", cause_worst, &[]).threads(2).rounds(some),
        Row::new("P5/cause99.99", "the same, p99.99", "us", cause, &[Most(20.0)]).threads(2).rounds(some),
        Row::new("P5/derive", "derive in it, worst", "us", derive_worst, &[]).threads(2).rounds(some),
        Row::new("P5/derive99.99", "the same, p99.99", "us", derive, &[Most(20.0)]).threads(2).rounds(some),
        Row::new("P5/cancel", "cancel of a sibling in it, worst", "us", cancel_worst, &[]).threads(2).rounds(some),
        Row::new("P5/cancel99.99", "the same, p99.99", "us", cancel, &[Most(20.0)]).threads(2).rounds(some),
        Row::new("P6/1M", "cancel a parent of 1,000,000, per child", "ns", with_go(each!(fan_out_once(e.million)), per_child(once_of_go(e, format!("cancel {} 1", e.million), 1.0), e.million)), &[Ratio(0.4)]).rounds(few),
        Row::new("P8", "wake 10,000 waiters, per waiter", "ns", with_go(each!(wake(waiters)), warm_of_go(e, format!("wake {waiters}"))), &[Ratio(0.5)]).rounds(some),
        Row::new("P13/1k", "cancel a chain of 1,000, per level", "ns", short_cancel, &[]).rounds(some * 3),
        Row::new("P13/1kd", "drop it, per level", "ns", short_drop, &[]).rounds(some * 3),
        Row::new("P13/1kb", "both", "ns", short_both, &[]).rounds(some * 3),
        Row::new("P13", "cancel a chain of 1,000,000, per level", "ns", deep_cancel, &[Ratio(0.5)]).rounds(few),
        Row::new("P13/d", "drop it, per level", "ns", deep_drop, &[Ratio(0.5)]).rounds(few),
        Row::new("P13/b", "both", "ns", deep_both, &[Ratio(0.5)]).rounds(few),
    ]
}

fn window(time: Duration) {
    Config::default().timer_window(time).install();
}

fn no_window() {
    window(Duration::ZERO);
}

fn default_window() {
    window(Duration::from_millis(1));
}

#[rustfmt::skip]
fn firing(e: Effort) -> Vec<Row> {
    fn nothing_to_do() {}
    let go = || match golang::version(e) {
        Some(_) => {
            let mut figures = go_figures::<4>(format!("late {} {}", e.widest, e.while_.as_nanos()));
            several(move || { let [mean, p99, processor, early] = figures(); [mean / 1e3, p99 / 1e3, processor / 1e9, early] })
        }
        None => nothing(),
    };
    let [mean, p99, processor, early] = turned([
        late::<Ripcord>(e, default_window, nothing_to_do), late::<StdMutex>(e, nothing_to_do, nothing_to_do),
        late::<ParkingLot>(e, nothing_to_do, nothing_to_do), late::<Tokio>(e, nothing_to_do, nothing_to_do),
        late::<Pingora>(e, nothing_to_do, nothing_to_do), go(),
    ]);
    let [mean_0, p99_0, processor_0, early_0] = turned([
        late::<Ripcord>(e, no_window, default_window), late::<StdMutex>(e, nothing_to_do, nothing_to_do),
        late::<ParkingLot>(e, nothing_to_do, nothing_to_do), nothing(), nothing(), go(),
    ]);
    let many = Effort { widest: e.million, ..e };
    let [mean_1m, _, processor_1m, _] =
        turned([late::<Ripcord>(many, default_window, nothing_to_do), nothing(), nothing(), nothing(), nothing(), nothing()]);
    vec![
        Row::new("P10", "100k deadlines in 1 s, window 1 ms: mean late", "us", mean, &[Most(600.0)]).unsound("pingora").rounds(e.most),
        Row::new("P10/p99", "the same, p99", "us", p99, &[Most(1200.0)]).unsound("pingora").rounds(e.most),
        Row::new("P10/cpu", "processor time for them", "s", processor, &[Ratio(0.5)]).unsound("pingora").rounds(e.most),
        Row::new("P10/early", "how many were early", "", early, &[Most(0.0)]).unsound("pingora").rounds(e.most),
        Row::new("P10/0", "without a window: mean late", "us", mean_0, &[Most(60.0)]).rounds(e.most),
        Row::new("P10/0p99", "the same, p99", "us", p99_0, &[Most(150.0)]).rounds(e.most),
        Row::new("P10/0cpu", "processor time for them", "s", processor_0, &[Ratio(1.0)]).rounds(e.most),
        Row::new("P10/0early", "how many were early", "", early_0, &[Most(0.0)]).rounds(e.most),
        Row::new("P10/1M", "1,000,000 in 1 s: mean late", "us", mean_1m, &[]).rounds(e.most),
        Row::new("P10/1Mcpu", "processor time for them", "s", processor_1m, &[]).rounds(e.most),
    ]
}

/// So many timers of each.
fn keep(e: Effort, count: usize) -> Box<dyn Any> {
    if golang::version(e).is_some() {
        golang::ask(&format!("pend {count}"));
    }
    let contexts = (keep_pending::<Ripcord>(count), keep_pending::<StdMutex>(count), keep_pending::<ParkingLot>(count));
    Box::new((contexts, keep_pending::<Tokio>(count), keep_pending::<Pingora>(count)))
}

#[rustfmt::skip]
fn pending(e: Effort, count: usize) -> Vec<Row> {
    let cells = |threads: usize| [
        timer::<Ripcord>(e, threads), timer::<StdMutex>(e, threads), timer::<ParkingLot>(e, threads),
        timer::<Tokio>(e, threads), timer::<Pingora>(e, threads), go(e, format!("timer {threads}")),
    ];
    let one = |id, work, targets| Row::new(id, work, "ns", cells(1), targets);
    let two = |id, work, targets| Row::new(id, work, "ns", cells(2), targets).threads(2);
    let heap = |id, work| {
        let [ours, mutex, parking_lot, _] = each!(heap_timed(e)).map(|heap| known(heap.0));
        Row::new(id, work, "B", [ours, mutex, parking_lot, None, None, None], &[Most(160.0)]).rounds(1)
    };
    match count {
        0 => vec![
            one("P9", "timer: arm, release; none pending, 1 task", &[Ratio(0.25)]),
            two("P9/2", "the same, 2 tasks", &[Ratio(0.25), Of(1.2, "P9")]),
        ],
        10_000 => vec![
            one("P9/10k", "with 10,000 pending, 1 task", &[Ratio(0.25), Of(1.2, "P9")]),
            two("P9/10k2", "the same, 2 tasks", &[Ratio(0.25), Of(1.2, "P9")]),
            heap("P12/t10k", "heap per child with timeout, 10,000 pending"),
        ],
        _ => vec![
            one("P9/1M", "with 1,000,000 pending, 1 task", &[Ratio(0.25), Of(1.2, "P9")]),
            two("P9/1M2", "the same, 2 tasks", &[Ratio(0.25), Of(1.2, "P9")]),
            heap("P12/t1M", "heap per child with timeout, 1,000,000 pending"),
        ],
    }
}

/// What is left behind, each in a process of its own: what others left to be reused would hide it.
#[rustfmt::skip]
fn left(e: Effort) -> Vec<Row> {
    let fresh = |who: &'static str, what: &'static str, times: usize| {
        Some(Box::new(move || grown_elsewhere(who, what, times)) as Cell)
    };
    let go = |timed: u8| {
        golang::version(e)?;
        Some(Box::new(move || golang::ask_fresh(&format!("grown {timed} {}", e.churn)) / 1024.0) as Cell)
    };
    let plain = ["ripcord", "mutex", "parking_lot", "tokio"].map(|who| fresh(who, "plain", e.churn));
    let timed = ["ripcord", "mutex", "parking_lot", "tokio"].map(|who| fresh(who, "timed", e.churn));
    let idle = match e.minute {
        0 => nothing(),
        _ => [fresh("ripcord", "idle", 5), fresh("mutex", "idle", 5), None, None, fresh("pingora", "idle", 5), None],
    };
    let pace = match e.minute {
        0 => [None, None, None, None],
        seconds => ["ripcord", "mutex", "parking_lot", "tokio"].map(|who| fresh(who, "pace", seconds)),
    };
    let (short, with_timeout) = match e.churn {
        100_000_000 => ("growth after 100M short children", "growth after 100M with a timeout"),
        10_000_000 => ("growth after 10M short children", "growth after 10M with a timeout"),
        _ => ("growth after 1M short children", "growth after 1M with a timeout"),
    };
    vec![
        Row::new("P15", short, "KiB", with_go(plain, go(0)), &[Most(1024.0)]).rounds(1),
        Row::new("P15/t", with_timeout, "KiB", with_go(timed, go(1)), &[Most(1024.0)]).rounds(1),
        Row::new("P15/pace", "growth at 1M timeouts a second", "KiB", with_go(pace, None), &[Most(1024.0)]).rounds(1),
        Row::new("P15/idle", "wake-ups a second, nothing armed", "", idle, &[Most(0.0)]).rounds(1),
    ]
}

/// Asks a fresh process of this program, see [`grown_here`].
fn grown_elsewhere(who: &str, what: &str, times: usize) -> f64 {
    let program = std::env::current_exe().expect("a program knows its name");
    let out = Command::new(program).args(["--grown", who, what, &times.to_string()]).output().expect("it starts");
    String::from_utf8_lossy(&out.stdout).trim().parse().expect("a figure")
}

/// Answers [`grown_elsewhere`].
pub(crate) fn grown_here(who: &str, what: &str, times: usize) -> f64 {
    fn of<C: Contender>(what: &str, times: usize) -> f64 {
        match what {
            "pace" => grown_by_pace::<C>(times),
            "timed" => grown::<C>(times, C::pass_timed),
            _ => grown::<C>(times, pass_child::<C>),
        }
    }
    match (who, what) {
        ("ripcord", "idle") => return idle::<Ripcord>("ripcord-timer", times),
        ("mutex", "idle") => return idle::<StdMutex>("baseline-timers", times),
        ("pingora", "idle") => return idle::<Pingora>("Timer thread", times),
        _ => {}
    }
    match who {
        "ripcord" => of::<Ripcord>(what, times),
        "mutex" => of::<StdMutex>(what, times),
        "parking_lot" => of::<ParkingLot>(what, times),
        _ => of::<Tokio>(what, times),
    }
}
