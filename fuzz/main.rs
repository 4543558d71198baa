//! Fuzz targets. `make fuzz` runs them; `cargo test` runs their seeds, so that
//! what was found once stays found.
//!
//!     fuzz                              every seed once
//!     fuzz TARGET SECONDS FOLDER SEED   fuzzes; see scripts/fuzz.sh
//!     fuzz TARGET FILE                  runs one input

mod callouts;
mod drive;
mod engine;
mod grpc;
mod guest;
mod hostcalls;
mod modules;
mod pairs;
mod properties;

use std::path::Path;
use std::time::Duration;

use engine::Target;

/// A fault behind six bytes, each of which is code that another leads to: no
/// chance in a million runs, unless what a run reaches guides the next.
const CANARY: Target = Target {
    name: "canary",
    run: |data| {
        if data.first() == Some(&b'c') {
            one();
            if data.get(1) == Some(&b'a') {
                two();
                if data.get(2) == Some(&b'n') {
                    three();
                    if data.get(3) == Some(&b'a') {
                        four();
                        if data.get(4) == Some(&b'r') {
                            five();
                            if data.get(5) == Some(&b'y') {
                                panic!("the canary was found");
                            }
                        }
                    }
                }
            }
        }
    },
    words: &[],
    more_seeds: || vec![b"......".to_vec()],
};

macro_rules! steps {
    ($($name:ident = $number:literal;)*) => {$(
        /// A place that is not folded into another.
        #[inline(never)]
        fn $name() {
            std::hint::black_box($number);
        }
    )*};
}

steps! {
    one = 1;
    two = 2;
    three = 3;
    four = 4;
    five = 5;
}

const TARGETS: [&Target; 6] = [
    &pairs::TARGET,
    &properties::TARGET,
    &callouts::TARGET,
    &grpc::TARGET,
    &hostcalls::TARGET,
    &modules::TARGET,
];

fn target(name: &str) -> &'static Target {
    let canaries = [&CANARY, &hostcalls::STATUS_CANARY, &hostcalls::WRITE_CANARY];
    let mut targets = TARGETS.into_iter().chain(canaries);
    let found = targets.find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("no target {name}"))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [name, seconds, folder, seed] => {
            let time = Duration::from_secs(seconds.parse().expect("seconds"));
            let seed = seed.parse().expect("a seed");
            engine::fuzz(target(name), time, Path::new(folder), seed);
        }
        [name, file] if !name.starts_with('-') => {
            let input = std::fs::read(file).expect("a file");
            (target(name).run)(&input);
            println!("{name}: nothing wrong with it");
        }
        // Whatever cargo passes on.
        _ => {
            for target in TARGETS {
                println!(
                    "{}: {} seeds, nothing wrong",
                    target.name,
                    engine::run_seeds(target)
                );
            }
        }
    }
}
