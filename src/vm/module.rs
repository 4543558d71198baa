//! A module: what it is known by, and its compiled code.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use wasmparser::ValType;

use super::engine::{Stack, engine};
use super::outline::{Import, Memory, Outline};
use super::process;
use crate::abi::limits::COMPILER_STACK;

/// A module, shared by all who load the same bytes. Its code may come later
/// than the module.
pub struct Module {
    /// Bytes of its file.
    size: usize,
    /// What its guests have.
    stack: Stack,
    outline: Outline,
    code: OnceLock<Result<wasmtime::Module, String>>,
}

/// Why a module has no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCode {
    /// It is still compiled, in a thread.
    Yet,
    /// It cannot be compiled; a sentence.
    Ever(String),
}

impl std::fmt::Display for NoCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NoCode::Yet => "it is still being compiled",
            NoCode::Ever(why) => why,
        })
    }
}

impl Module {
    /// Compiles a binary module.
    ///
    /// Errors: a sentence that says what is wrong with the bytes.
    pub fn compile(bytes: &[u8], stack: Stack) -> Result<Self, String> {
        check_beginning(bytes)?;
        // All of it, before anything is compiled: the compiler looks at a function
        // when it comes to it, and nobody has estimated what an invalid one's
        // neighbours take.
        wasmtime::Module::validate(engine(stack)?, bytes).map_err(invalid)?;
        Module::with_code(bytes, stack, compile(bytes, stack)?)
    }

    /// A module whose code is there.
    pub(super) fn with_code(
        bytes: &[u8],
        stack: Stack,
        code: wasmtime::Module,
    ) -> Result<Self, String> {
        let module = Module::read(bytes, stack)?;
        module.set_code(Ok(code));
        Ok(module)
    }

    /// A module whose code comes later, by [`Module::set_code`]. All that can be
    /// wrong with the bytes is found now.
    pub(super) fn without_code(bytes: &[u8], stack: Stack) -> Result<Self, String> {
        check_beginning(bytes)?;
        wasmtime::Module::validate(engine(stack)?, bytes).map_err(invalid)?;
        Module::read(bytes, stack)
    }

    fn read(bytes: &[u8], stack: Stack) -> Result<Self, String> {
        Ok(Module {
            size: bytes.len(),
            stack,
            outline: Outline::read(bytes).map_err(invalid)?,
            code: OnceLock::new(),
        })
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The stack that its guests have: its code is of that engine.
    pub fn stack(&self) -> Stack {
        self.stack
    }

    pub(super) fn set_code(&self, code: Result<wasmtime::Module, String>) {
        // Set once, by whoever has made it.
        let _ = self.code.set(code);
    }

    pub(super) fn code(&self) -> Result<&wasmtime::Module, NoCode> {
        match self.code.get() {
            Some(Ok(code)) => Ok(code),
            Some(Err(why)) => Err(NoCode::Ever(why.clone())),
            None => Err(NoCode::Yet),
        }
    }

    pub fn imports(&self) -> impl Iterator<Item = Import<'_>> {
        self.outline.imports()
    }

    /// The names of all exports.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.outline.exports()
    }

    /// True when there is a function export of this name.
    pub fn has_function(&self, name: &str) -> bool {
        self.outline.function(name).is_some()
    }

    /// True when there is a function export of this name that takes one i32
    /// and gives one.
    pub fn has_i32_function(&self, name: &str) -> bool {
        self.outline
            .function(name)
            .is_some_and(|ty| ty.params() == [ValType::I32] && ty.results() == [ValType::I32])
    }

    /// True when the function export of this name may read its parameter
    /// `index`. What a guest cannot see need not be found out: on nginx the
    /// number of response headers costs more than calling the guest.
    pub fn reads_parameter(&self, export: &str, index: u32) -> bool {
        self.outline.reads_parameter(export, index)
    }

    /// The elements that the largest of its tables begins with.
    pub fn largest_table(&self) -> u64 {
        self.outline.largest_table()
    }

    /// The memory export of this name.
    pub fn memory(&self, name: &str) -> Option<Memory> {
        self.outline.memory(name)
    }
}

/// Says of bytes that are no module what they are.
pub(super) fn check_beginning(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if !bytes.starts_with(b"\0asm") {
        let begin = bytes[..bytes.len().min(8)].escape_ascii();
        return Err(format!("no WebAssembly: it begins with \"{begin}\""));
    }
    Ok(())
}

pub(super) fn compile(bytes: &[u8], stack: Stack) -> Result<wasmtime::Module, String> {
    let engine = engine(stack)?;
    let compile = || wasmtime::Module::from_binary(engine, bytes).map_err(invalid);
    process::on_stack(COMPILER_STACK, compile)
}

fn invalid(error: impl Into<wasmtime::Error>) -> String {
    format!("not a valid WebAssembly module: {:#}", error.into())
}
