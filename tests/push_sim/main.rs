//! A simulated network over the real hubs, clients, servers and trees: messages are delayed, lines stall
//! and break at any byte, machines crash and lose what is not on their disks, clocks are set. Minutes
//! take milliseconds.
//!
//! The seed decides what happens; the order in which tasks run differs from run to run.
//! `WIGO_SIM_SEED=7` runs that seed alone, with a log; `WIGO_SIM_SEEDS=1000` that many for each shape.

mod disk;
mod identities;
mod network;
mod node;
mod random;
mod world;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use world::{Shape, Weather, World};

/// How long things happen in one simulation.
const TIME: Duration = Duration::from_secs(180);
/// Simulations of each shape, unless more are asked for.
const STORMS: u64 = 25;
const CALMS: u64 = 5;
/// Simulations of one test that run at the same time.
const THREADS: usize = 2;

const CHAIN: Shape = &[&[], &[0], &[1]];
const DIAMOND: Shape = &[&[], &[0], &[0], &[1, 2]];
/// The lowest reports to the middle and to the top as well.
const TRIANGLE: Shape = &[&[], &[0], &[0, 1]];

fn simulate(shape: Shape, weather: Weather, seed: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { World::new(shape, seed).run(weather, TIME).await })
}

fn simulate_all(shape: Shape, weather: Weather, seeds: u64) {
    std::sync::LazyLock::force(&identities::IDENTITIES);
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = number("WIGO_SIM_SEEDS").unwrap_or(seeds);
    if let Some(seed) = number("WIGO_SIM_SEED") {
        let _ = tracing_subscriber::fmt()
            .with_test_writer()
            .with_max_level(tracing::Level::DEBUG)
            .try_init();
        return simulate(shape, weather, seed).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < seeds
                {
                    if let Err(wrong) = simulate(shape, weather, seed) {
                        failed.lock().unwrap().push(format!("seed {seed}: {wrong}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {seeds} failed\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn a_chain_survives_storms() {
    simulate_all(CHAIN, Weather::Storm, STORMS);
}

#[test]
fn a_diamond_survives_storms() {
    simulate_all(DIAMOND, Weather::Storm, STORMS);
}

#[test]
fn a_client_of_two_masters_one_below_the_other_survives_storms() {
    simulate_all(TRIANGLE, Weather::Storm, STORMS);
}

#[test]
fn delays_disks_and_clocks_cause_no_alarm() {
    for shape in [CHAIN, DIAMOND, TRIANGLE] {
        simulate_all(shape, Weather::Calm, CALMS);
    }
}
