//! Compiled code.

use wasmtime::{ExternType, FuncType, ValType};

use super::engine::engine;

/// The types that Proxy-Wasm signatures are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WasmType {
    I32,
    I64,
    /// Anything else: no function of the specification takes it.
    Other,
}

impl From<&ValType> for WasmType {
    fn from(value: &ValType) -> Self {
        match value {
            ValType::I32 => WasmType::I32,
            ValType::I64 => WasmType::I64,
            _ => WasmType::Other,
        }
    }
}

/// A module: compiled, validated, shared by all who load the same bytes.
pub struct Module {
    pub(super) code: wasmtime::Module,
}

/// What a module asks its host for.
pub struct Import<'m> {
    pub module: &'m str,
    pub name: &'m str,
    pub kind: ImportKind,
}

pub enum ImportKind {
    Function {
        params: Vec<WasmType>,
        results: Vec<WasmType>,
        ty: Function,
    },
    /// A memory, a table, a global: no Proxy-Wasm host has any to give.
    Other,
}

/// The exact type of an imported function; only this room looks inside.
pub struct Function(pub(super) FuncType);

impl Module {
    /// Compiles a binary module.
    ///
    /// Errors: a sentence that says what is wrong with the bytes.
    pub fn compile(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("the file is empty".to_owned());
        }
        let code = wasmtime::Module::from_binary(engine()?, bytes)
            .map_err(|error| format!("not a valid WebAssembly module: {error:#}"))?;
        Ok(Module { code })
    }

    pub fn imports(&self) -> impl Iterator<Item = Import<'_>> {
        self.code.imports().map(|import| Import {
            module: import.module(),
            name: import.name(),
            kind: match import.ty() {
                ExternType::Func(ty) => ImportKind::Function {
                    params: ty.params().map(|value| (&value).into()).collect(),
                    results: ty.results().map(|value| (&value).into()).collect(),
                    ty: Function(ty),
                },
                _ => ImportKind::Other,
            },
        })
    }

    /// The names of all exports.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.code.exports().map(|export| export.name())
    }

    /// True when there is a function export of this name.
    pub fn has_function(&self, name: &str) -> bool {
        matches!(self.code.get_export(name), Some(ExternType::Func(_)))
    }

    /// True when there is a memory export of this name.
    pub fn has_memory(&self, name: &str) -> bool {
        matches!(self.code.get_export(name), Some(ExternType::Memory(_)))
    }
}
