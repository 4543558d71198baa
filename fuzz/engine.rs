//! A fuzzer in a few lines: inputs are mutated, and those that reach new code
//! are kept. What they reach is counted by the compiler's own instrumentation,
//! which scripts/fuzz-rustc.sh asks for; without it (in `cargo test`) the seeds
//! are run once.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One input may take this long; a mistake makes it take for ever.
const LONGEST: Duration = Duration::from_secs(20);

/// Bytes of memory that this process may come to have.
const MAX_MEMORY: u64 = 3 << 30;

/// Bytes of the longest input that is made.
const MAX_INPUT: usize = 16 << 10;

/// Code that runs has a counter for each of its edges; these are where they are.
static COUNTERS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Called by each instrumented crate before `main`.
///
/// # Safety
///
/// Called by the compiler's code only, with the bounds of a section.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let range = (start as usize, stop as usize);
    if let Ok(mut counters) = COUNTERS.lock()
        && range.0 < range.1
        && !counters.contains(&range)
    {
        counters.push(range);
    }
}

fn for_each_counter(mut see: impl FnMut(&mut [u8])) {
    let ranges = COUNTERS
        .lock()
        .map_or_else(|_| Vec::new(), |all| all.clone());
    for (start, stop) in ranges {
        // SAFETY: the compiler's counters, which live as long as the process;
        // this thread alone runs instrumented code while it looks.
        see(unsafe { std::slice::from_raw_parts_mut(start as *mut u8, stop - start) });
    }
}

/// What an input reached: each edge, and roughly how often.
fn reached(seen: &mut HashSet<u32>) -> bool {
    let (mut base, mut new) = (0, false);
    for_each_counter(|counters| {
        for (at, chunk) in counters.chunks_mut(8).enumerate() {
            // Mostly nothing.
            if chunk.iter().all(|count| *count == 0) {
                continue;
            }
            for (place, count) in chunk.iter_mut().enumerate() {
                let bucket = match std::mem::take(count) {
                    0 => continue,
                    count @ 1..=3 => u32::from(count),
                    4..=7 => 4,
                    8..=15 => 5,
                    16..=31 => 6,
                    32..=127 => 7,
                    _ => 8,
                };
                new |= seen.insert(((base + at * 8 + place) as u32) << 4 | bucket);
            }
        }
        base += counters.len();
    });
    new
}

/// xorshift64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }
}

fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], words: &[&[u8]], random: &mut Random) {
    for _ in 0..1 + random.below(6) {
        let at = random.below(input.len() + 1);
        let to = (at + 1 + random.below(16)).min(input.len());
        match random.below(10) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 | 2 if at < input.len() => input[at] = random.next() as u8,
            3 if at < input.len() => {
                input[at] = [0, 1, 0x7f, 0x80, 0xff, b'\r', b'\n', 10][random.below(8)];
            }
            4 => drop(input.drain(at.min(to)..to)),
            5 => {
                let piece: Vec<u8> = (0..1 + random.below(8))
                    .map(|_| random.next() as u8)
                    .collect();
                drop(input.splice(at..at, piece));
            }
            6 if !words.is_empty() => {
                let word = words[random.below(words.len())];
                drop(input.splice(at..at, word.iter().copied()));
            }
            7 => {
                let copy = input[at.min(to)..to].repeat(1 + random.below(3));
                drop(input.splice(at..at, copy));
            }
            8 if at + 4 <= input.len() => {
                let number: u32 = [0, 1, 4, 0x7fff_ffff, 0xffff_ffff, 1024][random.below(6)];
                let number = number.wrapping_add(random.below(3) as u32);
                input[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            _ if !others.is_empty() => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                let until = (from + random.below(200)).min(other.len());
                drop(input.splice(at.min(to)..to, other[from..until].iter().copied()));
            }
            _ => {}
        }
    }
    input.truncate(MAX_INPUT);
}

/// A fuzz target.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// What its inputs are made of.
    pub words: &'static [&'static [u8]],
    /// Files to begin with, beside those in `fuzz/corpus/NAME`: a folder, and how large.
    pub more_seeds: fn() -> Vec<Vec<u8>>,
}

/// Milliseconds since the start when the input that runs began; 0: none does.
static BEGAN: AtomicU64 = AtomicU64::new(0);

/// The input that runs, in a file for whoever finds this process dead.
struct Current {
    bytes: &'static mut [u8],
}

impl Current {
    fn open(path: &Path) -> Self {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .expect("a file for the input that runs");
        let len = MAX_INPUT + 8;
        file.set_len(len as u64).expect("room for it");
        // SAFETY: a new mapping of a file that this process alone writes to,
        // never unmapped.
        let bytes = unsafe {
            let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
            let at = libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            );
            assert!(at != libc::MAP_FAILED, "no mapping of {}", path.display());
            std::slice::from_raw_parts_mut(at.cast::<u8>(), len)
        };
        Current { bytes }
    }

    fn set(&mut self, input: &[u8]) {
        let input = &input[..input.len().min(MAX_INPUT)];
        self.bytes[..8].copy_from_slice(&(input.len() as u64).to_le_bytes());
        self.bytes[8..8 + input.len()].copy_from_slice(input);
    }
}

fn read_folder(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .collect()
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut seeds = read_folder(&committed.join(target.name));
    seeds.extend((target.more_seeds)());
    seeds.retain(|seed| seed.len() <= MAX_INPUT);
    seeds
}

/// Runs each seed once. Gives their number.
pub fn run_seeds(target: &Target) -> usize {
    let seeds = seeds(target);
    for seed in &seeds {
        (target.run)(seed);
    }
    seeds.len()
}

/// Ends the process at the first panic, also one that would be caught, when an
/// input takes too long, and when memory grows.
fn watch(clock: Instant) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let began = BEGAN.load(Ordering::Relaxed);
            let now = clock.elapsed().as_millis() as u64;
            if began > 0 && now.saturating_sub(began) > LONGEST.as_millis() as u64 {
                eprintln!("an input takes more than {} s", LONGEST.as_secs());
                std::process::abort();
            }
            let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
            let pages = statm
                .split(' ')
                .nth(1)
                .and_then(|rss| rss.parse::<u64>().ok());
            if pages.unwrap_or(0) * 4096 > MAX_MEMORY {
                eprintln!("more than {MAX_MEMORY} bytes of memory");
                std::process::abort();
            }
        }
    });
}

/// Fuzzes for so long; what it keeps is in `folder`, and the input that runs in
/// the file `current` there. Ends the process when something is found.
pub fn fuzz(target: &Target, time: Duration, folder: &Path, seed: u64) {
    let kept = folder.join("kept");
    fs::create_dir_all(&kept).expect("a folder to keep inputs in");
    let mut current = Current::open(&folder.join("current"));
    let clock = Instant::now();
    watch(clock);

    let mut random = Random(seed | 1);
    let mut seen = HashSet::new();
    let mut corpus: Vec<Vec<u8>> = Vec::new();
    let mut queue = seeds(target);
    queue.extend(read_folder(&kept));
    let given = queue.len();
    queue.reverse();

    let (mut runs, mut found) = (0_u64, 0);
    while clock.elapsed() < time || !queue.is_empty() {
        let (input, mutated) = match queue.pop() {
            Some(input) => (input, false),
            None => {
                // The youngest know most.
                let newest = corpus.len().saturating_sub(1 + random.below(32));
                let pick = match random.below(3) {
                    0 => newest,
                    _ => random.below(corpus.len()),
                };
                let mut input = corpus.get(pick).cloned().unwrap_or_default();
                mutate(&mut input, &corpus, target.words, &mut random);
                (input, true)
            }
        };
        current.set(&input);
        for_each_counter(|counters| counters.fill(0));
        BEGAN.store(clock.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
        (target.run)(&input);
        BEGAN.store(0, Ordering::Relaxed);
        runs += 1;
        let new = reached(&mut seen);
        if new && mutated {
            found += 1;
            let name = format!("{:016x}-{found}", random.next());
            let _ = fs::File::create(kept.join(name)).and_then(|mut file| file.write_all(&input));
        }
        if new || !mutated {
            corpus.push(input);
        }
    }
    let edges: HashSet<u32> = seen.iter().map(|edge| edge >> 4).collect();
    let seconds = clock.elapsed().as_secs().max(1);
    println!(
        "{}: {runs} runs in {seconds} s ({} a second), {given} inputs given, {found} kept, {} edges \
         reached, nothing wrong",
        target.name,
        runs / seconds,
        edges.len(),
    );
    assert!(!edges.is_empty(), "it was built without instrumentation");
}
