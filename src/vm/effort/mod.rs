//! What compiling a module will take, by its code and before it is compiled:
//! the compiler itself knows no limit. Ten kilobytes can stand for gigabytes, or
//! for minutes: of blocks that give a thousand values, of loops in each other.
//!
//! All of a function is in memory while it is compiled, and what comes of it
//! until the module is whole. The hostile code of the tests takes no more than its
//! estimate, and mostly more than a third of it; what compilers write takes a
//! sixth of it or more. It remains an estimate, which does not follow values: that
//! thousands of constants are added to one value in a row takes nine times as
//! long, and a thousand branches with a hundred values each to one label take a
//! twentieth.
#![forbid(unsafe_code)]

mod cost;
mod function;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, ElementSectionReader, ExternalKind, FuncType,
    FunctionBody, Operator, Parser, Payload, TypeRef,
};

use self::cost::Cost;
use self::function::Function;
use crate::abi::limits::COMPILED_AT_ONCE_MS;

/// What compiling a module may take, by its estimate.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: usize,
    /// Milliseconds of CPU time.
    pub time_ms: u32,
}

/// Errors: a sentence, when compiling this would take more.
/// Of a module that is not valid the compiler says what is wrong.
pub fn check(module: &[u8], limits: &Limits) -> Result<(), String> {
    match estimate(module) {
        Ok(estimate) => estimate.check(limits),
        Err(_) => Ok(()),
    }
}

/// True when compiling this, as far as it may be, takes so long that a worker is
/// not to wait for it.
pub fn takes_long(module: &[u8], limits: &Limits) -> bool {
    estimate(module).is_ok_and(|estimate| {
        estimate.total.nanos / NANOS_PER_MS > COMPILED_AT_ONCE_MS && estimate.check(limits).is_ok()
    })
}

const NANOS_PER_MS: u64 = 1_000_000;

/// For all of a module, and the most that one function takes of it, and which.
struct Estimate {
    total: Cost,
    largest: (u64, u32),
    slowest: (u64, u32),
}

impl Estimate {
    fn check(&self, limits: &Limits) -> Result<(), String> {
        if self.total.bytes > limits.memory as u64 {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let (bytes, function) = self.largest;
            return Err(format!(
                "to compile it would take some {} MiB of memory, {} of them for its function \
                 {function}, and may take {} (option max_compile_memory)",
                mib(self.total.bytes),
                mib(bytes),
                mib(limits.memory as u64)
            ));
        }
        let limit = u64::from(limits.time_ms);
        if self.total.nanos / NANOS_PER_MS > limit {
            let seconds = |nanos: u64| nanos.div_ceil(NANOS_PER_MS * 1000);
            let (nanos, function) = self.slowest;
            return Err(format!(
                "to compile it would take some {} s, {} of them for its function {function}, and \
                 may take {} (option max_compile_time)",
                seconds(self.total.nanos),
                seconds(nanos),
                limit as f64 / 1000.0
            ));
        }
        Ok(())
    }
}

fn estimate(bytes: &[u8]) -> Result<Estimate, BinaryReaderError> {
    let mut module = Module::default();
    for payload in Parser::new(0).parse_all(bytes) {
        module.take(payload?)?;
    }
    let mut total = module.whole;
    total.bytes = total.bytes.saturating_add(module.largest.0);
    Ok(Estimate {
        total,
        largest: module.largest,
        slowest: module.slowest,
    })
}

/// The numbers of values that something takes and gives.
#[derive(Clone, Copy, Default)]
struct Arity(u64, u64);

impl Arity {
    fn sum(self) -> u64 {
        self.0 + self.1
    }
}

#[derive(Default)]
struct Module {
    types: Vec<Arity>,
    /// Types of functions, those of the imported ones first.
    functions: Vec<u32>,
    /// Functions that have no body here.
    imported: u32,
    /// Functions that the host can get hold of.
    escaping: HashSet<u32>,
    bodies: u32,
    /// The memory that stays, and the time of all.
    whole: Cost,
    /// Of the functions.
    largest: (u64, u32),
    slowest: (u64, u32),
}

impl Module {
    fn take(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(types) => {
                let mut known: HashSet<FuncType> = HashSet::new();
                for ty in types.into_iter_err_on_gc_types() {
                    let ty = ty?;
                    let arity = Arity(ty.params().len() as u64, ty.results().len() as u64);
                    self.types.push(arity);
                    self.whole += match known.insert(ty) {
                        true => cost::trampoline(arity.sum()),
                        false => cost::ENTRY,
                    };
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.whole += cost::ENTRY;
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                        self.functions.push(ty);
                        self.imported += 1;
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.functions.push(ty?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    self.constant(&global?.init_expr)?;
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    if let wasmparser::TableInit::Expr(init) = table?.init {
                        self.constant(&init)?;
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    self.whole += cost::ENTRY;
                    if let ExternalKind::Func | ExternalKind::FuncExact = export.kind {
                        self.escapes(export.index);
                    }
                }
            }
            Payload::ElementSection(elements) => self.elements(elements)?,
            Payload::CodeSectionEntry(body) => self.body(&body)?,
            _ => {}
        }
        Ok(())
    }

    fn elements(&mut self, elements: ElementSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for element in elements {
            match element?.items {
                ElementItems::Functions(functions) => {
                    for function in functions {
                        self.escapes(function?);
                    }
                }
                ElementItems::Expressions(_, items) => {
                    for item in items {
                        self.constant(&item?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn constant(&mut self, init: &ConstExpr<'_>) -> Result<(), BinaryReaderError> {
        for operator in init.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.escapes(function_index);
            }
        }
        Ok(())
    }

    /// Code can only refer to functions that are named outside of it, too.
    fn escapes(&mut self, function: u32) {
        if function >= self.imported
            && (function as usize) < self.functions.len()
            && self.escaping.insert(function)
        {
            self.whole += cost::trampoline(self.function_arity(function).sum());
        }
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
        let index = self.imported + self.bodies;
        self.bodies += 1;
        let arity = self.function_arity(index);
        let mut locals = arity.0;
        for group in body.get_locals_reader()? {
            locals += u64::from(group?.0);
        }
        let mut function = Function::new(self, locals, arity);
        for operator in body.get_operators_reader()? {
            function.operator(&operator?);
        }
        let takes = function.takes();
        self.largest = self.largest.max((takes.bytes, index));
        self.slowest = self.slowest.max((takes.nanos, index));
        self.whole += cost::FUNCTION + cost::CODE * body.range().len() as u64;
        self.whole.nanos = self.whole.nanos.saturating_add(takes.nanos);
        Ok(())
    }

    fn arity(&self, ty: u32) -> Arity {
        self.types.get(ty as usize).copied().unwrap_or_default()
    }

    fn function_arity(&self, index: u32) -> Arity {
        let ty = self.functions.get(index as usize);
        ty.map_or_else(Arity::default, |ty| self.arity(*ty))
    }
}
