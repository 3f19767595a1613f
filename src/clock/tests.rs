use super::*;
use std::thread;

const SECOND: u64 = 1_000_000_000;

/// From a deadline about to pass to one that is out of the coarse clock's reach, and the brink between.
const DISTANCES: [u64; 9] =
    [0, 1, 1_000, 1_000_000, coarse::SLACK - 1, coarse::SLACK, coarse::SLACK + 1, 2 * coarse::SLACK, 3600 * SECOND];

/// So many looks that the kernel's ticks fall between them.
fn looks() -> impl Iterator<Item = ()> {
    (0..200).map(|n| {
        if n % 4 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    })
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn the_coarse_clock_is_never_ahead() {
    for () in looks() {
        let noted = coarse::noted().expect("Linux has one");
        let exact = now();
        assert!(noted <= exact, "{} ns ahead", noted - exact);
    }
}

/// The least of many lags: one look may come when the machine was stopped, all of them do not.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn the_coarse_clock_lags_by_less_than_its_slack() {
    let lag = |()| {
        let exact = now();
        exact.saturating_sub(coarse::noted().expect("Linux has one"))
    };
    let least = looks().map(lag).min().expect("there are some");
    assert!(least < coarse::SLACK, "{least} ns behind at least");
}

#[test]
fn an_instant_is_ahead_from_the_slack_on() {
    for () in looks() {
        let Some(before) = coarse::noted() else {
            assert!(!coarse::is_ahead(now() + 3600 * SECOND), "nobody can tell");
            continue;
        };
        assert!(!coarse::is_ahead(before + coarse::SLACK));
        for distance in [1, 2, SECOND] {
            let at = before + coarse::SLACK + distance;
            let ahead = coarse::is_ahead(at);
            // Unless the clock has gone on meanwhile.
            let after = coarse::noted().expect("it was there a moment ago");
            assert!(ahead || at <= after + coarse::SLACK, "{distance} ns beyond the slack");
        }
    }
}

#[test]
fn what_has_passed_has_passed_and_what_has_not_has_not() {
    for () in looks() {
        for distance in DISTANCES {
            let past = now() - distance;
            assert!(has_passed(past), "{distance} ns ago");
            let future = now() + distance;
            let passed = has_passed(future);
            assert!(!passed || now() >= future, "{distance} ns ahead");
        }
    }
}

#[test]
fn a_deadline_is_past_by_the_instant_it_was_given_as() {
    for () in looks() {
        let at = Instant::now();
        let When { tick, past } = When::at(at);
        assert!(past, "the present is past");
        assert_eq!(instant_of(tick), Some(at));
        for distance in DISTANCES {
            let at = Instant::now() + Duration::from_nanos(distance);
            let past = When::at(at).past;
            assert!(!past || Instant::now() >= at, "{distance} ns ahead");
        }
    }
}

#[test]
fn ticks_are_exact_to_both_ends_and_saturate_there() {
    let base = *BASE;
    let last = Duration::from_nanos(NEVER - BIAS - 1);
    let whole = Duration::from_secs(last.as_secs());
    let nano = Duration::from_nanos(1);
    for since in
        [Duration::ZERO, nano, Duration::from_secs(1) - nano, whole - nano, whole, whole + nano, last - nano, last]
    {
        let at = base + since;
        assert_eq!(u128::from(tick_of(at) - BIAS), since.as_nanos());
        assert_eq!(instant_of(tick_of(at)), Some(at));
    }
    for beyond in [last + nano, last + Duration::from_secs(1), last * 10] {
        assert_eq!(tick_of(base + beyond), NEVER);
    }
    let first = Duration::from_nanos(BIAS);
    for before in [nano, Duration::from_secs(1), first - nano, first] {
        let Some(at) = base.checked_sub(before) else { continue };
        assert_eq!(u128::from(BIAS - tick_of(at)), before.as_nanos());
        assert_eq!(instant_of(tick_of(at)), Some(at));
    }
    if let Some(long_ago) = base.checked_sub(first * 2) {
        assert_eq!(tick_of(long_ago), 0);
    }
}
