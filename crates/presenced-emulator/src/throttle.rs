//! Throttling: a limit on requests in a sliding window, for each application in each tenant. A refused request does not count
//! (inferred).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::options;
use presenced_core::time::Instant;

/// The recent requests of each application in each tenant.
#[derive(Debug)]
pub(super) struct Throttler {
    limit: options::Throttle,
    recent: HashMap<(String, String), VecDeque<Instant>>,
    busiest: BusiestWindow,
}

/// The window in which the most requests of one application in one tenant were admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BusiestWindow {
    /// How many.
    pub(super) requests: usize,
    /// When the window ended; `None` before the first request.
    pub(super) until: Option<Instant>,
    /// Requests before this do not count.
    from: Instant,
}

impl Throttler {
    /// A throttler that has seen no requests.
    pub(super) fn new(limit: options::Throttle) -> Self {
        Self { limit, recent: HashMap::new(), busiest: BusiestWindow::default() }
    }

    /// Counts one request of `app` in `tenant`.
    ///
    /// # Errors
    /// The limit is reached. Returns how long to wait for the next allowed request.
    pub(super) fn admit(&mut self, tenant: &str, app: &str, now: Instant) -> Result<(), Duration> {
        let window = self.limit.window;
        let recent = self.recent.entry((tenant.to_owned(), app.to_owned())).or_default();
        while recent.front().is_some_and(|first| now.saturating_since(*first) >= window) {
            recent.pop_front();
        }
        if recent.len() < self.limit.requests {
            recent.push_back(now);
            let requests = recent.len() - recent.partition_point(|at| *at < self.busiest.from);
            if requests > self.busiest.requests {
                self.busiest = BusiestWindow { requests, until: Some(now), ..self.busiest };
            }
            return Ok(());
        }
        Err(recent.front().map_or(window, |first| window.saturating_sub(now.saturating_since(*first))))
    }

    /// The length of a window.
    pub(super) fn window(&self) -> Duration {
        self.limit.window
    }

    /// The busiest window since [`forget_busiest`](Self::forget_busiest).
    pub(super) fn busiest(&self) -> BusiestWindow {
        self.busiest
    }

    /// Looks for the busiest window from `now` on. The windows themselves go on.
    pub(super) fn forget_busiest(&mut self, now: Instant) {
        self.busiest = BusiestWindow { from: now, ..BusiestWindow::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides_separately_for_each_application_and_tenant() {
        let at = |secs| Instant::from_origin(Duration::from_secs(secs));
        let mut throttle = Throttler::new(options::Throttle { requests: 2, window: Duration::from_secs(30) });
        assert_eq!(throttle.admit("t", "a", at(0)), Ok(()));
        assert_eq!(throttle.admit("t", "a", at(10)), Ok(()));
        assert_eq!(throttle.admit("t", "a", at(29)), Err(Duration::from_secs(1)));
        assert_eq!(throttle.admit("t", "b", at(29)), Ok(()));
        assert_eq!(throttle.admit("u", "a", at(29)), Ok(()));
        assert_eq!(throttle.admit("t", "a", at(30)), Ok(()));
        assert_eq!(throttle.admit("t", "a", at(30)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn the_busiest_window_has_the_most_admitted_requests() {
        let at = |secs| Instant::from_origin(Duration::from_secs(secs));
        let mut throttle = Throttler::new(options::Throttle { requests: 3, window: Duration::from_secs(30) });
        let busiest = |throttle: &Throttler| (throttle.busiest().requests, throttle.busiest().until);
        assert_eq!(busiest(&throttle), (0, None));
        for secs in [0, 20, 40, 60, 61] {
            throttle.admit("t", "a", at(secs)).unwrap();
        }
        assert_eq!(busiest(&throttle), (3, Some(at(61))));
        throttle.admit("t", "a", at(62)).unwrap_err();
        throttle.admit("t", "b", at(62)).unwrap();
        assert_eq!(busiest(&throttle), (3, Some(at(61))), "refused ones and those of others do not count");
        throttle.forget_busiest(at(62));
        assert_eq!(busiest(&throttle), (0, None));
        throttle.admit("t", "a", at(80)).unwrap();
        assert_eq!(busiest(&throttle), (1, Some(at(80))), "those before do not count");
    }

    #[test]
    fn a_limit_of_zero_refuses_all() {
        let mut throttle = Throttler::new(options::Throttle { requests: 0, window: Duration::from_secs(30) });
        assert_eq!(throttle.admit("t", "a", Instant::default()), Err(Duration::from_secs(30)));
    }
}
