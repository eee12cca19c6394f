//! A session that prefers beside a model of what others see: random wishes and faults from a seed, and what must hold whatever
//! they are.

use super::*;

/// What Graph's documentation says of one user: this app's session, that of a Teams client, and a preferred presence. Ranks
/// stand for presences, since only availabilities are compared.
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

/// A wish, and what others are to see of it beside a Teams client.
type WishToPrefer = (Option<Target>, bool);

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

fn tell(session: &mut Session, (wish, prefers): WishToPrefer, now: Instant) {
    match wish {
        Some(target) if prefers => session.handle_wish_to_prefer(target, now),
        wish => session.handle_wish(wish, now),
    }
}

#[test]
fn others_see_the_old_presence_or_the_new_one_and_never_a_third() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let teams = (random.u8(..) > 80).then(|| random.u8(0..=3));
        let mut graph = Graph { teams, ..Graph::default() };
        let mut session = Session::new(seed);
        let (mut now, mut before) = (at(1000), (None, false));
        for _ in 0..60 {
            let wish = random_wish(&mut random);
            // Somebody chooses a status by hand, now and then, while nothing of presenced's is in its place.
            let by_hand = (!before.1 && random.u8(..) < 60).then(|| random.u8(0..=3));
            if !before.1 {
                graph.preferred = by_hand.map(|rank| (rank, now + Duration::from_hours(24)));
            }
            let (old, new) = (graph.seen(now), expected(wish, teams));
            tell(&mut session, wish, now);
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
                // What was chosen by hand shows from the first session on, until it is replaced.
                assert!(
                    seen == old || seen == new || by_hand.is_some_and(|rank| seen == Some(rank)),
                    "seed {seed}: {seen:?} in between {old:?} and {new:?}, {before:?} to {wish:?} beside {teams:?}"
                );
            }
            before = wish;
        }
    }
}

#[test]
fn after_any_faults_others_see_the_wish_again_and_nothing_is_left_behind() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut graph = Graph { teams: Some(random.u8(0..=3)), ..Graph::default() };
        let mut session = Session::new(seed);
        let mut now = at(1000);
        let mut forbidden_until = now;
        for round in 0..60 {
            let well = round % 2 == 1;
            let wish = random_wish(&mut random);
            tell(&mut session, wish, now);
            let end = now + Duration::from_secs(if well { 1200 } else { random.u64(1..4000) });
            while now < end {
                let Some(request) = session.poll_request(now) else {
                    now = session.poll_wakeup(now).map_or(end, |(next, _)| next.min(end));
                    continue;
                };
                assert!(now >= forbidden_until, "seed {seed}: Retry-After holds for both");
                now = now + Duration::from_millis(random.u64(1..2000));
                let (arrives, outcome) = match random.u8(0..4) {
                    _ if well => (true, Ok(())),
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
            if well {
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
