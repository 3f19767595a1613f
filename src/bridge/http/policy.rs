//! How much of what a peer asks for it gets.

use super::header::{Header, Malformed};
use crate::context::{CancelHandle, Context};
use ::http::HeaderMap;
use std::fmt;
use std::time::Duration;

/// How a budget is made of what a peer asks for and what the server allows.
///
/// | peer      | asks      | budget                                             |
/// |-----------|-----------|----------------------------------------------------|
/// | anybody   | nothing   | the server's own                                   |
/// | untrusted | something | the shorter of both: a peer may only shorten       |
/// | trusted   | something | what it asks for                                   |
///
/// Then [`at_least`](Policy::at_least) raises it, though for an untrusted peer never above the server's own, and
/// [`at_most`](Policy::at_most) caps it. Whatever comes out, the parent's deadline still holds for the child.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use ripcord::http::Policy;
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("grpc-timeout", HeaderValue::from_static("1H"));
///
/// let outside = Policy::untrusted().budget(Duration::from_secs(10));
/// assert_eq!(outside.read(&headers).budget, Some(Duration::from_secs(10)));
///
/// let inside = Policy::trusted().budget(Duration::from_secs(10)).at_most(Duration::from_secs(60));
/// assert_eq!(inside.read(&headers).budget, Some(Duration::from_secs(60)));
/// assert_eq!(inside.read(&headers).asked, Some(Duration::from_secs(3600)));
/// ```
#[derive(Copy, Clone)]
pub struct Policy {
    trust: bool,
    refuse: bool,
    headers: u8,
    budget: Option<Duration>,
    least: Duration,
    most: Option<Duration>,
}

/// What a request's headers came to.
#[non_exhaustive]
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Reading {
    /// What the peer asked for: the shortest of the well-formed headers.
    pub asked: Option<Duration>,
    /// What it gets; `None` is no limit of its own.
    pub budget: Option<Duration>,
    /// The first header that was not well-formed. It was left out of the account.
    pub malformed: Option<Malformed>,
}

/// A request's context, as [`Policy::child`] makes it.
#[non_exhaustive]
#[derive(Debug)]
pub struct Child {
    /// The context.
    pub context: Context,
    /// The authority over it.
    pub handle: CancelHandle,
    /// What its deadline was made of.
    pub reading: Reading,
}

impl Policy {
    /// For peers that anybody can be: they may only shorten the server's own budget. This is the default.
    #[must_use]
    pub const fn untrusted() -> Policy {
        Policy { trust: false, refuse: false, headers: !0, budget: None, least: Duration::ZERO, most: None }
    }

    /// For peers of one's own house: they get what they ask for.
    #[must_use]
    pub const fn trusted() -> Policy {
        Policy { trust: true, ..Policy::untrusted() }
    }

    /// The server's own budget: what a request gets whose peer asks for nothing. No limit unless set.
    #[must_use]
    pub const fn budget(self, own: Duration) -> Policy {
        Policy { budget: Some(own), ..self }
    }

    /// A shorter budget is raised to this. Work then goes on past what the caller waits for, so leave it at zero unless
    /// very short budgets do harm.
    #[must_use]
    pub const fn at_least(self, least: Duration) -> Policy {
        Policy { least, ..self }
    }

    /// A longer budget, and none at all, is cut to this.
    #[must_use]
    pub const fn at_most(self, most: Duration) -> Policy {
        Policy { most: Some(most), ..self }
    }

    /// Which headers are looked at; all of [`Header::ALL`] unless set. If there are several, the shortest counts.
    #[must_use]
    pub const fn headers(self, headers: &[Header]) -> Policy {
        let mut bits = 0;
        let mut at = 0;
        while at < headers.len() {
            bits |= headers[at].bit();
            at += 1;
        }
        Policy { headers: bits, ..self }
    }

    /// A request with a malformed header is an error, for [`child`](Policy::child) to return, instead of a request that did not
    /// ask.
    #[must_use]
    pub const fn refuse_malformed(self) -> Policy {
        Policy { refuse: true, ..self }
    }

    /// What these headers come to. Never allocates.
    #[must_use]
    pub fn read(&self, headers: &HeaderMap) -> Reading {
        let mut asked: Option<Duration> = None;
        let mut malformed = None;
        for header in Header::ALL.iter().filter(|header| self.headers & header.bit() != 0) {
            match header.read(headers) {
                Ok(said) => asked = shorter(asked, said),
                Err(error) => malformed = malformed.or(Some(error)),
            }
        }
        Reading { asked, budget: self.grant(asked), malformed }
    }

    fn grant(&self, asked: Option<Duration>) -> Option<Duration> {
        let raised = |budget: Duration| budget.max(self.least);
        let granted =
            if self.trust { asked.or(self.budget).map(raised) } else { shorter(asked.map(raised), self.budget) };
        shorter(granted, self.most)
    }

    /// A child of `parent` with the budget that these headers come to, counted from now.
    ///
    /// # Errors
    ///
    /// A malformed header, if the policy [refuses](Policy::refuse_malformed) those. Otherwise it is in the
    /// [`Reading`], and counts as not there.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use ripcord::Context;
    /// use ripcord::http::{Flaw, Policy};
    /// use std::time::Duration;
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert("grpc-timeout", HeaderValue::from_static("2S"));
    /// headers.insert("x-envoy-expected-rq-timeout-ms", HeaderValue::from_static("soon"));
    ///
    /// let child = Policy::untrusted().child(&Context::background(), &headers).unwrap();
    /// assert!(child.context.remaining().unwrap() <= Duration::from_secs(2));
    /// assert_eq!(child.reading.malformed.unwrap().flaw(), Flaw::NotDigits);
    ///
    /// let strict = Policy::untrusted().refuse_malformed();
    /// let error = strict.child(&Context::background(), &headers).unwrap_err();
    /// assert_eq!(error.to_string(), "malformed x-envoy-expected-rq-timeout-ms: not digits only");
    /// ```
    pub fn child(&self, parent: &Context, headers: &HeaderMap) -> Result<Child, Malformed> {
        let reading = self.read(headers);
        if let (true, Some(malformed)) = (self.refuse, reading.malformed) {
            return Err(malformed);
        }
        let (context, handle) = match reading.budget {
            Some(budget) => parent.with_timeout(budget),
            None => parent.with_cancel(),
        };
        Ok(Child { context, handle, reading })
    }
}

/// The shorter of two limits, either of which may not be there.
fn shorter(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// [`Policy::untrusted`].
impl Default for Policy {
    fn default() -> Self {
        Policy::untrusted()
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = Header::ALL.iter().filter(|header| self.headers & header.bit() != 0).collect();
        f.debug_struct("Policy")
            .field("trusted", &self.trust)
            .field("budget", &self.budget)
            .field("at_least", &self.least)
            .field("at_most", &self.most)
            .field("headers", &headers)
            .field("refuse_malformed", &self.refuse)
            .finish()
    }
}
