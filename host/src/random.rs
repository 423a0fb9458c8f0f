//! Randomness for guests: the operating system's, or one stream per instance drawn from a test's seed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use wasmtime_wasi::WasiCtxBuilder;

/// Where the instances of a hub draw from.
pub(crate) struct Random {
    seed: Option<u64>,
    instances: AtomicU64,
}

impl Random {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { seed, instances: AtomicU64::new(0) }
    }

    /// Gives the next instance its sources. Without a seed the builder's own defaults (the system's) stay.
    pub(crate) fn install(&self, builder: &mut WasiCtxBuilder) {
        let Some(seed) = self.seed else { return };
        let instance = self.instances.fetch_add(1, Relaxed);
        let stream = |n| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            rng.set_stream(instance * 3 + n);
            rng
        };
        let mut seeds = stream(2);
        builder
            .secure_random(stream(0))
            .insecure_random(stream(1))
            .insecure_random_seed(u128::from(seeds.next_u64()) << 64 | u128::from(seeds.next_u64()));
    }
}
