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
}

impl Throttler {
    /// A throttler that has seen no requests.
    pub(super) fn new(limit: options::Throttle) -> Self {
        Self { limit, recent: HashMap::new() }
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
            return Ok(());
        }
        Err(recent.front().map_or(window, |first| window.saturating_sub(now.saturating_since(*first))))
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
    fn a_limit_of_zero_refuses_all() {
        let mut throttle = Throttler::new(options::Throttle { requests: 0, window: Duration::from_secs(30) });
        assert_eq!(throttle.admit("t", "a", Instant::default()), Err(Duration::from_secs(30)));
    }
}
