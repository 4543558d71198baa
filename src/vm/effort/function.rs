//! What compiling one function takes, beside what stays of it.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use wasmparser::{
    BlockType, ContType, FrameKind, FuncType, ModuleArity, Operator, RefType, SubType,
};

use super::cost::{self, Cost};
use super::{Arity, Module};

/// Values of a call are a fraction of a piece each: of one through a table, and
/// of any.
const VALUES_OF_INDIRECT: u64 = 4;
const VALUES_OF_CALL: u64 = 20;
/// Pieces of what has a way around it that is hardly ever gone: through a table,
/// a loop.
const PIECES_OF_INDIRECT: u64 = 2;
const PIECES_OF_LOOP: u64 = 4;
/// So many values at once find a register.
const REGISTERS: u64 = 16;
/// Accesses, or sums, without a branch or a call between them: more are hardly ever
/// written.
const LONG_LINE: u64 = 64;

/// A block that is open.
struct Block {
    kind: Kind,
    arity: Arity,
    /// Values on the operand stack under those that it takes.
    under: u64,
    /// Some branch leads to its label.
    is_reached: bool,
    /// What there was before it.
    before: Counts,
    /// Loops in each other inside it.
    depth: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    If,
    Loop,
}

/// So far.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// Uses of locals, and those that write to one.
    uses: u64,
    writes: u64,
    /// Parts that the code is divided into.
    parts: u64,
}

pub struct Function<'m> {
    module: &'m Module,
    locals: u64,
    takes: Cost,
    pieces: u64,
    counts: Counts,
    /// Values on the operand stack, and of all calls the sum of those that stay
    /// there meanwhile.
    height: u64,
    kept: u64,
    /// Values that branches hand on.
    handed: u64,
    calls: u64,
    /// Their arguments and results.
    values_of_calls: u64,
    globals: HashSet<u32>,
    globals_used: u64,
    /// Since the last branch, block or call, and the parts and calls then.
    accesses: u64,
    sums: u64,
    line: u64,
    /// Whether nothing but values has come since the last sum.
    follows_sum: bool,
    blocks: Vec<Block>,
}

impl<'m> Function<'m> {
    /// Of a function with these locals, arguments included.
    pub fn new(module: &'m Module, locals: u64, arity: Arity) -> Self {
        let mut function = Function {
            module,
            locals,
            takes: cost::LOCAL * locals,
            pieces: 0,
            counts: Counts::default(),
            height: 0,
            kept: 0,
            handed: 0,
            calls: 0,
            values_of_calls: 0,
            globals: HashSet::new(),
            globals_used: 0,
            accesses: 0,
            sums: 0,
            line: 0,
            follows_sum: false,
            blocks: Vec::new(),
        };
        // The body is a block, too.
        function.open(Kind::Block, Arity(0, arity.1));
        function
    }

    /// For all of it.
    pub fn takes(&self) -> Cost {
        let locals = self.locals.min(self.counts.uses);
        let live = locals.saturating_sub(REGISTERS);
        let globals = (self.globals.len() as u64).saturating_sub(REGISTERS);
        self.takes
            + cost::LOCAL_BEFORE * locals.saturating_mul(self.counts.parts)
            + cost::LIVE_LOCAL * live.saturating_mul(self.counts.writes + self.calls)
            + cost::LIVE_GLOBAL * globals.saturating_mul(self.globals_used)
            + cost::KEPT * self.kept
            + cost::registers(self.pieces + self.values_of_calls / VALUES_OF_CALL)
            + cost::handed(self.handed)
    }

    pub fn operator(&mut self, operator: &Operator<'_>) {
        use Operator as Op;
        self.step(operator);
        let takes = match operator {
            Op::LocalGet { .. } => {
                self.counts.uses += 1;
                cost::SIMPLE
            }
            Op::LocalSet { .. } | Op::LocalTee { .. } => {
                self.counts.uses += 1;
                self.counts.writes += 1;
                cost::SIMPLE
            }
            Op::Block { blockty } => self.open(Kind::Block, self.block_arity(*blockty)),
            Op::If { blockty } => self.open(Kind::If, self.block_arity(*blockty)),
            Op::Loop { blockty } => self.open(Kind::Loop, self.block_arity(*blockty)),
            Op::TryTable { try_table } => {
                let catches = cost::TARGET * try_table.catches.len() as u64;
                catches + self.open(Kind::If, self.block_arity(try_table.ty))
            }
            Op::End => self.close(),
            Op::Br { relative_depth } | Op::BrIf { relative_depth } => {
                self.counts.parts += 1;
                cost::BRANCH + self.branch(*relative_depth)
            }
            Op::BrTable { targets } => {
                self.counts.parts += 1;
                let mut takes = cost::BRANCH + self.branch(targets.default());
                for depth in targets.targets().flatten() {
                    takes += cost::TARGET + self.branch(depth);
                }
                takes
            }
            Op::Call { function_index } | Op::ReturnCall { function_index } => {
                let values = self.module.function_arity(*function_index).sum();
                self.values_of_calls += values;
                self.call();
                cost::CALL + cost::VALUE * values
            }
            Op::CallIndirect { type_index, .. }
            | Op::ReturnCallIndirect { type_index, .. }
            | Op::CallRef { type_index }
            | Op::ReturnCallRef { type_index } => {
                let values = self.module.arity(*type_index).sum();
                self.pieces += values / VALUES_OF_INDIRECT;
                self.call();
                self.indirect() + cost::VALUE * values
            }
            Op::TableGet { .. }
            | Op::TableSet { .. }
            | Op::TableGrow { .. }
            | Op::TableFill { .. }
            | Op::TableCopy { .. }
            | Op::TableInit { .. }
            | Op::MemoryGrow { .. } => self.indirect(),
            Op::MemoryInit { .. }
            | Op::MemoryCopy { .. }
            | Op::MemoryFill { .. }
            | Op::DataDrop { .. }
            | Op::ElemDrop { .. }
            | Op::RefFunc { .. } => cost::LIBRARY,
            Op::GlobalGet { global_index } | Op::GlobalSet { global_index } => {
                self.globals.insert(*global_index);
                self.globals_used += 1;
                self.access()
            }
            sum if is_sum(sum) => self.sum(),
            _ => match plain(operator) {
                cost::ACCESS => self.access(),
                takes => takes,
            },
        };
        self.takes += takes;
        self.follows_sum = match operator {
            Op::I32Const { .. }
            | Op::I64Const { .. }
            | Op::LocalGet { .. }
            | Op::LocalSet { .. }
            | Op::LocalTee { .. } => self.follows_sum,
            _ => is_sum(operator),
        };
    }

    fn call(&mut self) {
        self.calls += 1;
        self.kept += self.height;
    }

    fn access(&mut self) -> Cost {
        self.look_for_line();
        self.accesses += 1;
        match self.accesses > LONG_LINE {
            true => cost::ACCESS + cost::IN_LINE,
            false => cost::ACCESS,
        }
    }

    /// One that goes on with the one before takes more, where there are many.
    fn sum(&mut self) -> Cost {
        self.look_for_line();
        self.sums += u64::from(self.follows_sum);
        match self.follows_sum && self.sums > LONG_LINE {
            true => cost::SIMPLE + cost::SUM_IN_LINE,
            false => cost::SIMPLE,
        }
    }

    fn look_for_line(&mut self) {
        let line = self.counts.parts + self.calls;
        if line != self.line {
            self.line = line;
            self.accesses = 0;
            self.sums = 0;
        }
    }

    /// Follows the operand stack. What comes after a branch that is always gone
    /// finds it empty, as far as the block goes.
    fn step(&mut self, operator: &Operator<'_>) {
        use Operator as Op;
        let under = self.under();
        let block = self
            .blocks
            .last()
            .map_or_else(Arity::default, |block| block.arity);
        let (takes, gives) = match operator {
            Op::Block { .. } | Op::Loop { .. } | Op::TryTable { .. } => (0, 0),
            Op::If { .. } | Op::BrIf { .. } => (1, 0),
            Op::Else => (self.height, block.0),
            Op::End => (self.height, block.1),
            Op::Br { .. }
            | Op::BrTable { .. }
            | Op::Return
            | Op::Unreachable
            | Op::ReturnCall { .. }
            | Op::ReturnCallIndirect { .. }
            | Op::ReturnCallRef { .. } => (self.height, 0),
            Op::Call { function_index } => {
                let arity = self.module.function_arity(*function_index);
                (arity.0, arity.1)
            }
            Op::CallIndirect { type_index, .. } | Op::CallRef { type_index } => {
                let arity = self.module.arity(*type_index);
                (arity.0 + 1, arity.1)
            }
            _ => {
                let (takes, gives) = operator.operator_arity(&NoTypes).unwrap_or((0, 0));
                (u64::from(takes), u64::from(gives))
            }
        };
        self.height = self.height.saturating_sub(takes).max(under) + gives;
    }

    fn indirect(&mut self) -> Cost {
        self.pieces += PIECES_OF_INDIRECT;
        self.counts.parts += 1;
        cost::INDIRECT
    }

    fn open(&mut self, kind: Kind, arity: Arity) -> Cost {
        let (parts, values, once) = match kind {
            Kind::Block => (1, arity.1, cost::BLOCK),
            Kind::If => (2, arity.1, cost::BLOCK),
            Kind::Loop => (3, 2 * arity.0 + arity.1, cost::LOOP),
        };
        let before = self.counts;
        self.counts.parts += parts;
        if kind == Kind::Loop {
            self.pieces += PIECES_OF_LOOP;
        }
        self.blocks.push(Block {
            kind,
            arity,
            // What cannot be reached may take what is not there.
            under: self.height.saturating_sub(arity.0).max(self.under()),
            is_reached: kind == Kind::If,
            before,
            depth: 0,
        });
        once + cost::VALUE * arity.sum()
            + cost::VALUE_BEFORE * values.saturating_mul(self.counts.parts)
    }

    /// At the end of a block ways may meet, and at the beginning of a loop: each
    /// local that is written to on one of them then has a value of its own.
    fn close(&mut self) -> Cost {
        let Some(block) = self.blocks.pop() else {
            return Cost::default();
        };
        let mut takes = Cost::default();
        let mut depth = block.depth;
        if block.kind == Kind::Loop {
            depth += 1;
            let used = self.counts.uses - block.before.uses;
            takes += cost::LOOPED * self.locals.min(used);
        }
        if block.is_reached {
            let written = self.written_since(&block.before);
            let merged = match block.kind {
                Kind::Loop => {
                    let inside = self.counts.parts - block.before.parts;
                    takes += cost::NESTED * inside.saturating_mul(depth);
                    block.arity.0 + written
                }
                _ => block.arity.1 + written,
            };
            self.pieces += merged;
            takes += cost::MERGED * merged;
        }
        if let Some(around) = self.blocks.last_mut() {
            around.depth = around.depth.max(depth);
        }
        takes
    }

    fn written_since(&self, before: &Counts) -> u64 {
        self.locals.min(self.counts.writes - before.writes)
    }

    /// What is handed on to a label.
    fn branch(&mut self, depth: u32) -> Cost {
        let index = self.blocks.len().checked_sub(depth as usize + 1);
        let Some(index) = index else {
            return Cost::default();
        };
        let block = &mut self.blocks[index];
        block.is_reached = true;
        let values = match block.kind {
            Kind::Loop => block.arity.0,
            _ => block.arity.1,
        };
        let before = block.before;
        let values = values + self.written_since(&before);
        self.handed += values;
        cost::HANDED * values
    }

    fn under(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.under)
    }

    fn block_arity(&self, ty: BlockType) -> Arity {
        match ty {
            BlockType::Empty => Arity(0, 0),
            BlockType::Type(_) => Arity(0, 1),
            BlockType::FuncType(ty) => self.module.arity(ty),
        }
    }
}

/// For the arities of operators that need to know nothing of the module.
struct NoTypes;

impl ModuleArity for NoTypes {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}

fn is_sum(operator: &Operator<'_>) -> bool {
    use Operator as Op;
    matches!(
        operator,
        Op::I32Add | Op::I32Sub | Op::I32Mul | Op::I64Add | Op::I64Sub | Op::I64Mul
    )
}

/// Of an operator that neither branches nor calls.
fn plain(operator: &Operator<'_>) -> Cost {
    use Operator as Op;
    match operator {
        Op::Nop
        | Op::Drop
        | Op::Unreachable
        | Op::Return
        | Op::Else
        | Op::Select
        | Op::I32Const { .. }
        | Op::I64Const { .. }
        | Op::F32Const { .. }
        | Op::F64Const { .. }
        | Op::I32Eqz
        | Op::I32Eq
        | Op::I32Ne
        | Op::I32LtS
        | Op::I32LtU
        | Op::I32GtS
        | Op::I32GtU
        | Op::I32LeS
        | Op::I32LeU
        | Op::I32GeS
        | Op::I32GeU
        | Op::I64Eqz
        | Op::I64Eq
        | Op::I64Ne
        | Op::I64LtS
        | Op::I64LtU
        | Op::I64GtS
        | Op::I64GtU
        | Op::I64LeS
        | Op::I64LeU
        | Op::I64GeS
        | Op::I64GeU
        | Op::I32And
        | Op::I32Or
        | Op::I32Xor
        | Op::I32Shl
        | Op::I32ShrS
        | Op::I32ShrU
        | Op::I64And
        | Op::I64Or
        | Op::I64Xor
        | Op::I64Shl
        | Op::I64ShrS
        | Op::I64ShrU
        | Op::I32WrapI64
        | Op::I64ExtendI32S
        | Op::I64ExtendI32U => cost::SIMPLE,
        Op::MemorySize { .. }
        | Op::I32Load { .. }
        | Op::I64Load { .. }
        | Op::F32Load { .. }
        | Op::F64Load { .. }
        | Op::I32Load8S { .. }
        | Op::I32Load8U { .. }
        | Op::I32Load16S { .. }
        | Op::I32Load16U { .. }
        | Op::I64Load8S { .. }
        | Op::I64Load8U { .. }
        | Op::I64Load16S { .. }
        | Op::I64Load16U { .. }
        | Op::I64Load32S { .. }
        | Op::I64Load32U { .. }
        | Op::I32Store { .. }
        | Op::I64Store { .. }
        | Op::F32Store { .. }
        | Op::F64Store { .. }
        | Op::I32Store8 { .. }
        | Op::I32Store16 { .. }
        | Op::I64Store8 { .. }
        | Op::I64Store16 { .. }
        | Op::I64Store32 { .. } => cost::ACCESS,
        _ => cost::OTHER,
    }
}
