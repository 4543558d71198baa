//! What a guest call costs the operating system, and its limit in processes
//! that fork. What requests see of it is in t/limits/cpu.t.

use std::sync::Arc;
use std::thread;

use resty_proxy_wasm::vm::instance::{Prepared, linker};
use resty_proxy_wasm::vm::{Allowance, Callback, CpuLimit, Instance, Module, Stack};

const GUEST: &str = r#"(module
    (func (export "nothing"))
    (func (export "loop") (loop $again (br $again))))"#;

fn instance() -> Instance<()> {
    let module = Module::compile(&wat::parse_str(GUEST).unwrap(), Stack::default()).unwrap();
    let prepared =
        Prepared::new(linker::<()>(Stack::default()).unwrap(), Arc::new(module)).unwrap();
    let cpu = CpuLimit {
        ms: 50,
        option: "cpu_limit",
    };
    let allowance = Allowance {
        cpu,
        memory: 1 << 20,
        table_elements: 100,
    };
    let instance = Instance::new(&prepared, (), allowance);
    instance.map_err(|(trap, ())| trap).expect("an instance")
}

/// What the thread may do from now on is to look at a clock, to write and to
/// exit: any other system call kills it.
fn allow_hardly_any_system_call() {
    const ALLOWED: [i64; 3] = [libc::SYS_clock_gettime, libc::SYS_write, libc::SYS_exit];
    let step = |code: u32, jt: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf: 0,
        k,
    };
    // The number of the call comes first in what a filter sees.
    let mut filter = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (index, number) in ALLOWED.iter().enumerate() {
        let to_the_end = (ALLOWED.len() - index) as u8;
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        filter.push(step(equal, to_the_end, *number as u32));
    }
    filter.push(step(libc::BPF_RET, 0, libc::SECCOMP_RET_KILL_THREAD));
    filter.push(step(libc::BPF_RET, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: numbers, and a program that is alive.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &program), 0);
    }
}

#[test]
fn entering_a_guest_makes_no_system_call() {
    let mut pipe = [0; 2];
    // SAFETY: room for two.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    let [read, write] = pipe;

    thread::spawn(move || {
        let mut instance = instance();
        let nothing: Callback<(), ()> = instance.callback("nothing").unwrap();
        // Whatever is done once is done. Where a tick comes in the middle of a
        // call, it looks at the clock; hardly any call does.
        instance.call(&nothing, ()).unwrap();
        allow_hardly_any_system_call();
        for _ in 0..100_000 {
            if instance.call(&nothing, ()).is_err() {
                break;
            }
        }
        // SAFETY: a byte, to a pipe that nobody closes; then the end of the
        // thread, without what Rust would do, as that needs system calls.
        unsafe {
            libc::write(write, c"1".as_ptr().cast(), 1);
            libc::syscall(libc::SYS_exit, 0);
        }
    });

    let mut poll = libc::pollfd {
        fd: read,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one descriptor, open.
    let ready = unsafe { libc::poll(&mut poll, 1, 20_000) };
    assert_eq!(ready, 1, "the thread was killed: it made a system call");
}

#[test]
fn a_child_of_a_fork_has_the_limit_too() {
    let mut parents = instance();
    // SAFETY: what the child does is done by itself; it has one thread, and the
    // allocator is made for that.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: numbers alone. The end comes by itself, should it be endless.
        unsafe { libc::alarm(60) };
        let mut instance = instance();
        let endless: Callback<(), ()> = instance.callback("loop").unwrap();
        let ended = instance.call(&endless, ()).is_err();
        // SAFETY: without what a process of tests does at its end.
        unsafe { libc::_exit(if ended { 7 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: a child of this process, and a number to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "killed: {status}");
    assert_eq!(libc::WEXITSTATUS(status), 7);

    let endless: Callback<(), ()> = parents.callback("loop").unwrap();
    let trap = parents.call(&endless, ()).unwrap_err();
    assert_eq!(
        trap.cause(),
        "it used more than 50 ms of CPU time (option cpu_limit)"
    );
}

#[test]
fn the_time_of_other_threads_does_not_count() {
    let mut instance = instance();
    let endless: Callback<(), ()> = instance.callback("loop").unwrap();
    // Both loops end, each after its own time, whoever's clock comes first.
    let other = thread::spawn(|| {
        let mut instance = self::instance();
        let endless: Callback<(), ()> = instance.callback("loop").unwrap();
        instance.call(&endless, ()).is_err()
    });
    assert!(instance.call(&endless, ()).is_err());
    assert!(other.join().unwrap());
}
