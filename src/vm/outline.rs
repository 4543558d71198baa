//! What a module imports and exports, read from its bytes: known before its
//! code is compiled.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use wasmparser::{
    BinaryReaderError, ExternalKind, FuncType, MemoryType, Parser, Payload, TypeRef, ValType,
};

use super::usage::Reads;

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
    pub kind: ImportKind<'m>,
}

pub enum ImportKind<'m> {
    Function {
        params: Vec<WasmType>,
        results: Vec<WasmType>,
        ty: Function<'m>,
    },
    /// A memory, a table, a global: no Proxy-Wasm host has any to give.
    Other,
}

/// The exact type of an imported function; only this room looks inside.
pub struct Function<'m>(pub(super) &'m FuncType);

#[derive(Default)]
pub(super) struct Outline {
    types: Vec<FuncType>,
    /// Module, name; of a function, the index of its type.
    imports: Vec<(String, String, Option<usize>)>,
    exports: Vec<(String, ExternalKind, usize)>,
    /// Types of all functions, those of the imported ones first.
    functions: Vec<u32>,
    memories: Vec<MemoryType>,
    /// The elements that the largest table begins with.
    largest_table: u64,
    /// Exported functions, and what they read once their bodies have come.
    reads: HashMap<usize, Reads>,
    /// Functions whose bodies have come, those that have none included.
    bodies: usize,
}

impl Outline {
    /// Reads a module that is known to be valid.
    pub fn read(module: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut outline = Outline::default();
        for payload in Parser::new(0).parse_all(module) {
            outline.take(payload?)?;
        }
        Ok(outline)
    }

    fn take(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(types) => {
                for ty in types.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let mut function = None;
                    match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.bodies += 1;
                            self.functions.push(ty);
                            function = Some(ty as usize);
                        }
                        TypeRef::Memory(ty) => self.memories.push(ty),
                        _ => {}
                    }
                    let (from, name) = (import.module.to_owned(), import.name.to_owned());
                    self.imports.push((from, name, function));
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    self.largest_table = self.largest_table.max(table?.ty.initial);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memories.push(memory?);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let index = export.index as usize;
                    self.exports
                        .push((export.name.to_owned(), export.kind, index));
                    if export.kind == ExternalKind::Func {
                        self.reads.insert(index, Reads::ALL);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                if let Some(reads) = self.reads.get_mut(&self.bodies) {
                    *reads = Reads::of(&body)?;
                }
                self.bodies += 1;
            }
            _ => {}
        }
        Ok(())
    }

    pub fn imports(&self) -> impl Iterator<Item = Import<'_>> {
        self.imports.iter().map(|(module, name, function)| {
            let ty = function.and_then(|ty| self.types.get(ty));
            Import {
                module,
                name,
                kind: ty.map_or(ImportKind::Other, |ty| ImportKind::Function {
                    params: ty.params().iter().map(WasmType::from).collect(),
                    results: ty.results().iter().map(WasmType::from).collect(),
                    ty: Function(ty),
                }),
            }
        })
    }

    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.exports.iter().map(|(name, ..)| name.as_str())
    }

    fn export(&self, name: &str, kind: ExternalKind) -> Option<usize> {
        let is_it = |export: &&(String, ExternalKind, usize)| export.0 == name && export.1 == kind;
        self.exports.iter().find(is_it).map(|export| export.2)
    }

    /// The type of the function export of this name.
    pub fn function(&self, name: &str) -> Option<&FuncType> {
        let ty = self.functions.get(self.export(name, ExternalKind::Func)?)?;
        self.types.get(*ty as usize)
    }

    /// True when the function export of this name may read its parameter
    /// `index`. What is not plainly a function of the module's own may.
    pub fn reads_parameter(&self, name: &str, index: u32) -> bool {
        let function = self.export(name, ExternalKind::Func);
        let reads = function.and_then(|function| self.reads.get(&function));
        reads.copied().unwrap_or(Reads::ALL).has(index)
    }

    /// The elements that the largest of its tables begins with.
    pub fn largest_table(&self) -> u64 {
        self.largest_table
    }

    /// The memory export of this name.
    pub fn memory(&self, name: &str) -> Option<Memory> {
        let memory = self
            .memories
            .get(self.export(name, ExternalKind::Memory)?)?;
        let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(16);
        Some(Memory {
            is_64: memory.memory64,
            minimum: memory.initial.saturating_mul(page),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ImportKind, Outline, WasmType};

    #[test]
    fn imports_and_exports_have_their_types() {
        let module = wat::parse_str(
            r#"(module
                (import "env" "memory" (memory 1))
                (import "env" "f" (func $f (param i32 f32) (result i64)))
                (import "env" "g" (global i32))
                (func $own (param i32) (result i32) (local.get 0))
                (memory $second 3)
                (export "f" (func $f))
                (export "own" (func $own))
                (export "second" (memory $second)))"#,
        )
        .expect("a module");
        let outline = Outline::read(&module).expect("it can be read");

        let imports: Vec<_> = outline.imports().collect();
        assert_eq!(imports.len(), 3);
        let ImportKind::Function {
            params, results, ..
        } = &imports[1].kind
        else {
            panic!("f is a function");
        };
        assert_eq!(params, &[WasmType::I32, WasmType::Other]);
        assert_eq!(results, &[WasmType::I64]);
        assert!(matches!(imports[2].kind, ImportKind::Other));

        let names: Vec<_> = outline.exports().collect();
        assert_eq!(names, ["f", "own", "second"]);
        let own = outline.function("own").expect("an export");
        assert_eq!((own.params().len(), own.results().len()), (1, 1));
        assert_eq!(outline.function("f").expect("too").params().len(), 2);
        assert!(outline.function("second").is_none());
        let memory = outline.memory("second").expect("an export");
        assert_eq!((memory.is_64, memory.minimum), (false, 3 << 16));
        assert!(outline.memory("f").is_none());
    }

    #[test]
    fn a_parameter_counts_only_where_it_is_read() {
        let module = wat::parse_str(
            r#"(module
                (import "env" "f" (func $imported (param i32)))
                (func (param i32 i32) (drop (local.get 1)))
                (func (export "first") (param i32 i32) (drop (local.get 0)))
                (func (export "nested") (param i32 i32)
                    (block (if (i32.const 1) (then (call $imported (local.get 1))))))
                (func (export "writes") (param i32 i32) (local.set 1 (i32.const 0)))
                (func (export "many") (local i64) (local i64)
                    (drop (local.get 1)))
                (export "again" (func $imported)))"#,
        )
        .expect("a module");
        let outline = Outline::read(&module).expect("it can be read");
        let reads = |export, parameter| outline.reads_parameter(export, parameter);

        assert!(!reads("first", 1));
        assert!(reads("first", 0));
        assert!(reads("nested", 1));
        assert!(!reads("writes", 1));
        assert!(!reads("many", 0) && reads("many", 1) && !reads("many", 40));
        // Not known: as good as read.
        assert!(reads("again", 1));
        assert!(reads("missing", 1));
    }
}
