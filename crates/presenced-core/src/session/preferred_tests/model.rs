//! Tests a session with a preferred presence against a model of what others see, with random wishes and faults.

use super::*;

/// One user's presence, after Graph's documentation: this app's session, a Teams client's session, and a preferred presence. Only
/// availabilities are compared, so their ranks stand for presences.
#[derive(Default)]
struct Graph {
    session: Option<(u8, Instant)>,
    teams: Option<u8>,
    preferred: Option<(u8, Instant)>,
}

impl Graph {
    fn apply(&mut self, action: Action, now: Instant) {
        let lasts = |target: Target| (target.presence.precedence(), now + target.expiration.as_duration());
        match action {
            Action::Set(target) => self.session = Some(lasts(target)),
            Action::Clear => self.session = None,
            Action::Prefer(target) => self.preferred = Some(lasts(target)),
            Action::ClearPreferred => self.preferred = None,
        }
    }

    fn seen(&self, now: Instant) -> Option<u8> {
        let lives = |held: &Option<(u8, Instant)>| held.filter(|(_, end)| now < *end).map(|(rank, _)| rank);
        let strongest = lives(&self.session).max(self.teams)?;
        Some(lives(&self.preferred).unwrap_or(strongest))
    }
}

/// A wish, and whether it is preferred.
type WishToPrefer = (Option<Target>, bool);

/// What others should see of a wish if a Teams client shows `teams`.
fn expected((wish, prefers): WishToPrefer, teams: Option<u8>) -> Option<u8> {
    match wish.map(|target| target.presence.precedence()) {
        Some(rank) if prefers => Some(rank),
        rank => rank.max(teams),
    }
}

fn random_wish(random: &mut fastrand::Rng) -> WishToPrefer {
    let presence = *random.choice(Presence::ALL.iter()).expect("five");
    let expiration = Expiration::try_from(Duration::from_mins(random.u64(5..60))).expect("in range");
    let wish = (random.u8(..) > 50).then_some(Target { presence, expiration });
    (wish, wish.is_some() && random.bool())
}

fn wish_for(session: &mut Session, (wish, prefers): WishToPrefer, now: Instant) {
    match wish {
        Some(target) if prefers => session.handle_wish_to_prefer(target, now),
        wish => session.handle_wish(wish, now),
    }
}

#[test]
fn others_see_the_old_or_the_new_presence_and_never_a_third() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let teams = (random.u8(..) > 80).then(|| random.u8(0..=3));
        let mut graph = Graph { teams, ..Graph::default() };
        let mut session = Session::new(seed);
        let (mut now, mut before) = (at(1000), (None, false));
        for _ in 0..60 {
            let wish = random_wish(&mut random);
            // Sometimes the user sets a status by hand, while presenced has set no preferred presence.
            let by_hand = (!before.1 && random.u8(..) < 60).then(|| random.u8(0..=3));
            if !before.1 {
                graph.preferred = by_hand.map(|rank| (rank, now + Duration::from_hours(24)));
            }
            let (old, new) = (graph.seen(now), expected(wish, teams));
            wish_for(&mut session, wish, now);
            let end = now + Duration::from_secs(random.u64(30..3000));
            while now < end {
                if let Some(request) = session.poll_request(now) {
                    now = now + Duration::from_millis(random.u64(1..500));
                    graph.apply(request.action, now);
                    session.handle_outcome(request.id, Ok(()), now);
                } else {
                    let settled = new.map(|rank| by_hand.filter(|_| !wish.1).unwrap_or(rank));
                    assert_eq!(graph.seen(now), settled, "seed {seed}, {wish:?} beside {teams:?}");
                    now = session.poll_wakeup(now).map_or(end, |(next, _)| next.min(end));
                }
                let seen = graph.seen(now);
                // A status that was set by hand shows as soon as there is a session, until it is replaced.
                assert!(
                    seen == old || seen == new || by_hand.is_some_and(|rank| seen == Some(rank)),
                    "seed {seed}: {seen:?} between {old:?} and {new:?}, {before:?} to {wish:?} beside {teams:?}"
                );
            }
            before = wish;
        }
    }
}

#[test]
fn after_faults_others_see_the_wish_and_nothing_is_left_behind() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut graph = Graph { teams: Some(random.u8(0..=3)), ..Graph::default() };
        let mut session = Session::new(seed);
        let mut now = at(1000);
        let mut forbidden_until = now;
        for round in 0..60 {
            let healthy = round % 2 == 1;
            let wish = random_wish(&mut random);
            wish_for(&mut session, wish, now);
            let end = now + Duration::from_secs(if healthy { 1200 } else { random.u64(1..4000) });
            while now < end {
                let Some(request) = session.poll_request(now) else {
                    now = session.poll_wakeup(now).map_or(end, |(next, _)| next.min(end));
                    continue;
                };
                assert!(now >= forbidden_until, "seed {seed}: Retry-After applies to both");
                now = now + Duration::from_millis(random.u64(1..2000));
                let (arrives, outcome) = match random.u8(0..4) {
                    _ if healthy => (true, Ok(())),
                    0 => (true, Ok(())),
                    1 => (true, Err(unanswered())),
                    2 => (false, Err(unanswered())),
                    _ => {
                        let wait = Duration::from_secs(random.u64(0..200));
                        forbidden_until = now + wait;
                        (false, Err(Failure { retry_after: Some(wait), ..failure(FailureKind::Throttled) }))
                    }
                };
                if arrives {
                    graph.apply(request.action, now);
                }
                session.handle_outcome(request.id, outcome.as_ref().copied(), now);
            }
            if healthy {
                assert_eq!(
                    graph.seen(now),
                    expected(wish, graph.teams),
                    "seed {seed}: {wish:?} beside {:?}",
                    graph.teams
                );
                let lingers = graph.preferred.is_some_and(|(_, end)| now < end);
                assert_eq!(lingers, wish.1, "seed {seed}: {wish:?}");
            }
        }
    }
}
