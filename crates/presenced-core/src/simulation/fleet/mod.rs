//! The proof of the pacer: 12,000 users, a model of Graph's limit, and everything that goes wrong.
mod graph;
mod world;

use jiff::SignedDuration;
use std::time::Duration;
use world::{Weather, World};

const AVAILABLE: usize = 9600;
const OTHERS: usize = 2400;

fn report(name: &str, world: &mut World) {
    world.graph.close(world.now);
    world.waits.sort();
    let at = |share: f64| world.waits.get(((world.waits.len() as f64) * share) as usize).copied().unwrap_or_default();
    println!(
        "{name}: {} fades, {} 429, busiest {}, {} requests in {} sends, {} by deadline, latest {:?}, gap {:?}, changes {} p50 {:?} p99 {:?} max {:?}",
        world.graph.ended.len(),
        world.answered_429,
        world.graph.busiest,
        world.sent,
        world.sends,
        world.by_deadline,
        world.latest,
        world.graph.longest_gap,
        world.waits.len(),
        at(0.5),
        at(0.99),
        world.waits.last()
    );
}

#[test]
fn explore() {
    let mins = Duration::from_mins;
    let mut w = World::new(AVAILABLE, OTHERS, 1);
    w.run(mins(25));
    report("start", &mut w);
    let mut w = World::steady(AVAILABLE, OTHERS, 1);
    w.run(mins(30));
    report("steady", &mut w);
    let mut w = World::steady(AVAILABLE, OTHERS, 1);
    w.change_often(5);
    w.run(mins(60));
    report("5/s", &mut w);
    w.kill(Duration::from_secs(30), true);
    w.run(mins(20));
    report("5/s then kill", &mut w);
    let mut w = World::steady(AVAILABLE, OTHERS, 1);
    for _ in 0..1000 {
        w.run(Duration::from_millis(1));
        w.change_one();
    }
    w.run(mins(20));
    report("storm", &mut w);
    for stored in [true, false] {
        let mut w = World::steady(AVAILABLE, OTHERS, 1);
        w.run(mins(1));
        w.kill(Duration::from_secs(30), stored);
        w.run(mins(20));
        report(&format!("kill stored {stored}"), &mut w);
    }
    let mut w = World::steady(AVAILABLE, OTHERS, 1);
    w.weather = Weather { outage: Some((w.now, w.now + Duration::from_secs(50))), throttle: None };
    w.run(mins(20));
    report("outage 50", &mut w);
    let mut w = World::steady(AVAILABLE, OTHERS, 1);
    w.weather = Weather { throttle: Some((w.now, Duration::from_secs(20))), outage: None };
    w.run(mins(20));
    report("429 20", &mut w);
    for by in [1000, -1000, 120, 3] {
        let mut w = World::steady(AVAILABLE, OTHERS, 1);
        w.step(SignedDuration::from_secs(by));
        w.run(mins(20));
        report(&format!("step {by}"), &mut w);
    }
}
