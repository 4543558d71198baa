//! Compiled code.
#![forbid(unsafe_code)]

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

/// A memory that a module brings.
pub struct Memory {
    /// Its addresses have 64 bits.
    pub is_64: bool,
    /// Bytes that it begins with.
    pub minimum: u64,
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
        if !bytes.starts_with(b"\0asm") {
            let begin = bytes[..bytes.len().min(8)].escape_ascii();
            return Err(format!("no WebAssembly: it begins with \"{begin}\""));
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

    /// True when there is a function export of this name that takes one i32
    /// and gives one.
    pub fn has_i32_function(&self, name: &str) -> bool {
        let Some(ExternType::Func(ty)) = self.code.get_export(name) else {
            return false;
        };
        let is_i32 = |mut types: Box<dyn Iterator<Item = ValType> + '_>| {
            matches!((types.next(), types.next()), (Some(ValType::I32), None))
        };
        is_i32(Box::new(ty.params())) && is_i32(Box::new(ty.results()))
    }

    /// The elements that the largest of its tables begins with.
    pub fn largest_table(&self) -> u64 {
        let resources = self.code.resources_required();
        resources.max_initial_table_size.unwrap_or_default()
    }

    /// The memory export of this name.
    pub fn memory(&self, name: &str) -> Option<Memory> {
        let Some(ExternType::Memory(ty)) = self.code.get_export(name) else {
            return None;
        };
        Some(Memory {
            is_64: ty.is_64(),
            minimum: ty.minimum().saturating_mul(ty.page_size()),
        })
    }
}
