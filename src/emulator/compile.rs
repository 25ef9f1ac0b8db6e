//! From naga's IR to a flat program: functions, constants, registers. `variables` finds memory for
//! variables, `statement` and `expression` go through the bodies.

use super::error::CompileError;
use super::layout::{self, Packing};
use super::program::{Input, Instruction, Op, Program};
use super::source::SourcePlace;
use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{
    Expression, Function, GlobalVariable, Handle, ImageDimension, Module, ShaderStage, Span,
};
use std::collections::HashMap;

/// Marks an operand as a register; what has neither mark is a number of its own.
const REGISTER: u32 = 1 << 31;
/// Marks a register as one of those that are filled before the first instruction.
const PRESET: u32 = REGISTER | 1 << 30;
/// More instructions would not fit beside an invocation's number in a shadow cell.
const MOST_INSTRUCTIONS: usize = 1 << 22;

/// A value in registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) register: u32,
    /// Whether one word stands for all components.
    pub(super) splat: bool,
}

/// What a pointer points to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) root: Root,
    /// Words from the root.
    pub(super) offset: u32,
    /// Register with further words.
    pub(super) dynamic: Option<u32>,
    pub(super) packing: Packing,
}

/// The memory that a pointer points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// The frame, from a register on.
    Frame(u32),
    Shared,
    Resource(u32),
}

/// What an expression stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operand {
    Value(Value),
    Place(Place),
    Texture(Texture),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Texture {
    pub(super) resource: u32,
    pub(super) dimension: ImageDimension,
    pub(super) arrayed: bool,
    pub(super) words: u32,
    pub(super) float: bool,
}

/// A function as it is inlined at one call.
pub(super) struct Scope<'a> {
    pub(super) function: &'a Function,
    pub(super) info: &'a FunctionInfo,
    pub(super) arguments: Vec<Operand>,
    pub(super) operands: Vec<Option<Operand>>,
    /// Registers of the local variables.
    pub(super) locals: Vec<u32>,
    pub(super) result: Option<u32>,
    /// Jumps to the end of the function.
    pub(super) returns: Vec<usize>,
    /// Jumps out of each loop or switch that is open.
    pub(super) breaks: Vec<Vec<usize>>,
    /// Jumps to the continuing part of each loop that is open.
    pub(super) continues: Vec<Vec<usize>>,
}

pub(super) struct Compiler<'a> {
    pub(super) module: &'a Module,
    pub(super) info: &'a ModuleInfo,
    source: Option<&'a str>,
    pub(super) program: Program,
    /// The next free register, and the most there ever were.
    top: u32,
    peak: u32,
    constants: HashMap<Vec<u32>, u32>,
    inputs: HashMap<Input, u32>,
    pub(super) globals: HashMap<Handle<GlobalVariable>, Operand>,
    places: HashMap<(usize, usize), u32>,
    place: u32,
    /// Registers that count the rounds of the open loops with a rendezvous in them.
    pub(super) rounds: Vec<u32>,
    /// Calls that were inlined.
    inlined: usize,
}

impl Program {
    /// Compiles the entry point `entry`. With `source`, the text that the module was parsed from,
    /// findings have lines and columns.
    ///
    /// # Errors
    /// [`CompileError`] where there is no such compute entry point, or where it uses what the
    /// emulator does not know: named, never guessed at.
    pub fn new(
        module: &naga::Module,
        info: &naga::valid::ModuleInfo,
        entry: &str,
        source: Option<&str>,
    ) -> Result<Self, CompileError> {
        compile(module, info, entry, source)
    }
}

fn compile(
    module: &Module,
    info: &ModuleInfo,
    entry: &str,
    source: Option<&str>,
) -> Result<Program, CompileError> {
    let index = module
        .entry_points
        .iter()
        .position(|point| point.name == entry);
    let Some(index) = index.filter(|&i| module.entry_points[i].stage == ShaderStage::Compute)
    else {
        return Err(CompileError::NoEntry {
            name: entry.to_owned(),
        });
    };
    let point = &module.entry_points[index];
    let program = Program {
        entry: entry.to_owned(),
        workgroup_size: point.workgroup_size,
        code: Vec::new(),
        place_of: Vec::new(),
        places: vec![SourcePlace::default()],
        frame: Vec::new(),
        inputs: Vec::new(),
        resources: Vec::new(),
        shared: Vec::new(),
        shared_words: 0,
        locals: Vec::new(),
        indexed: HashMap::new(),
        switches: Vec::new(),
        rounds: Vec::new(),
        loops: Vec::new(),
        logged: 0,
        storage_atomics: false,
    };
    let mut compiler = Compiler {
        module,
        info,
        source,
        program,
        top: 0,
        peak: 0,
        constants: HashMap::new(),
        inputs: HashMap::new(),
        globals: HashMap::new(),
        places: HashMap::new(),
        place: 0,
        rounds: Vec::new(),
        inlined: 0,
    };
    let function_info = info.get_entry_point(index);
    compiler.globals(function_info)?;
    let arguments = compiler.arguments(&point.function)?;
    compiler.inline(&point.function, function_info, arguments, None)?;
    compiler.emit(Op::End, 0, 0, [0; 5]);
    compiler.finish()
}

impl<'a> Compiler<'a> {
    /// Puts a function's instructions here.
    pub(super) fn inline(
        &mut self,
        function: &'a Function,
        info: &'a FunctionInfo,
        arguments: Vec<Operand>,
        result: Option<u32>,
    ) -> Result<(), CompileError> {
        let mark = self.top;
        let mut scope = Scope {
            function,
            info,
            arguments,
            operands: vec![None; function.expressions.len()],
            locals: Vec::new(),
            result,
            returns: Vec::new(),
            breaks: Vec::new(),
            continues: Vec::new(),
        };
        for (handle, variable) in function.local_variables.iter() {
            self.at(function.local_variables.get_span(handle));
            let words = layout::words(self.module, &self.module.types[variable.ty].inner)?;
            let register = self.allocate(words);
            scope.locals.push(register);
            let name = variable
                .name
                .clone()
                .unwrap_or_else(|| "unnamed".to_owned());
            self.program.locals.push((register..register + words, name));
            match variable.init {
                Some(init) => {
                    let value = self.value(&mut scope, init)?;
                    let from = self.contiguous(value, words);
                    self.emit_wide(Op::StoreLocal, words, register, from);
                }
                None => self.emit_wide(Op::ClearLocal, words, register, register),
            }
        }
        self.block(&mut scope, &function.body)?;
        let end = self.here();
        for jump in std::mem::take(&mut scope.returns) {
            self.program.code[jump].a = end;
        }
        self.free(mark);
        // Functions that do nothing take time, too, where each calls the next one twice.
        self.inlined += 1;
        if self.program.code.len() > MOST_INSTRUCTIONS || self.inlined > MOST_INSTRUCTIONS {
            return Err(CompileError::TooLarge {
                most: MOST_INSTRUCTIONS,
            });
        }
        Ok(())
    }

    /// Words of an expression among the module's constants.
    pub(super) fn global_constant(
        &mut self,
        handle: Handle<Expression>,
    ) -> Result<Vec<u32>, CompileError> {
        let module = self.module;
        match module.global_expressions[handle] {
            Expression::Literal(literal) => self.literal(literal).map(|word| vec![word]),
            Expression::Constant(constant) => self.global_constant(module.constants[constant].init),
            Expression::ZeroValue(ty) => Ok(vec![
                0;
                layout::words(module, &module.types[ty].inner)?
                    as usize
            ]),
            Expression::Splat { size, value } => Ok(self
                .global_constant(value)?
                .repeat(u32::from(size) as usize)),
            Expression::Compose { ref components, .. } => {
                let mut words = Vec::new();
                for &component in components {
                    words.extend(self.global_constant(component)?);
                }
                Ok(words)
            }
            ref other => Err(self.unknown(format!("the constant {other:?}"))),
        }
    }

    pub(super) fn literal(&self, literal: naga::Literal) -> Result<u32, CompileError> {
        use naga::Literal as L;
        match literal {
            L::F32(value) => Ok(value.to_bits()),
            L::U32(value) => Ok(value),
            L::I32(value) => Ok(value as u32),
            L::Bool(value) => Ok(u32::from(value)),
            other => Err(self.unknown(format!("the literal {other:?}"))),
        }
    }

    /// A register that holds a constant; equal constants share it.
    pub(super) fn constant(&mut self, words: Vec<u32>) -> u32 {
        if let Some(&register) = self.constants.get(&words) {
            return register;
        }
        let register = PRESET | self.program.frame.len() as u32;
        self.program.frame.extend(&words);
        self.constants.insert(words, register);
        register
    }

    /// The words of a register that holds a constant.
    pub(super) fn known(&self, register: u32, width: u32) -> Option<&[u32]> {
        let begin = (register & !PRESET) as usize;
        let is_input = self.program.inputs.iter().any(|&(_, at)| at == register);
        (register & PRESET == PRESET && !is_input)
            .then(|| self.program.frame.get(begin..begin + width as usize))
            .flatten()
    }

    /// A register that is filled at launch.
    pub(super) fn input(&mut self, input: Input) -> u32 {
        if let Some(&register) = self.inputs.get(&input) {
            return register;
        }
        let register = PRESET | self.program.frame.len() as u32;
        self.program.frame.push(0);
        self.program.inputs.push((input, register));
        self.inputs.insert(input, register);
        register
    }

    /// Registers that are free until [`Compiler::free`].
    pub(super) fn allocate(&mut self, words: u32) -> u32 {
        let register = self.top;
        self.top += words;
        self.peak = self.peak.max(self.top);
        REGISTER | register
    }

    pub(super) fn mark(&self) -> u32 {
        self.top
    }

    /// Gives back what was allocated since the mark.
    pub(super) fn free(&mut self, mark: u32) {
        self.top = mark;
    }

    /// Single words from here and there, in a row.
    pub(super) fn gather(&mut self, words: &[u32]) -> u32 {
        if words.windows(2).all(|pair| pair[0] + 1 == pair[1])
            && let Some(&first) = words.first()
        {
            return first;
        }
        let known: Option<Vec<u32>> = words
            .iter()
            .map(|&word| Some(self.known(word, 1)?[0]))
            .collect();
        if let Some(known) = known {
            return self.constant(known);
        }
        let dst = self.allocate(words.len() as u32);
        for (&word, at) in words.iter().zip(dst..) {
            self.emit(Op::Copy, 1, 1, [at, word, 0, 0, 0]);
        }
        dst
    }

    /// The instructions that follow come from this part of the source.
    pub(super) fn at(&mut self, span: Span) {
        let Some(range) = span.to_range() else { return };
        let next = self.program.places.len() as u32;
        self.place = *self.places.entry((range.start, range.end)).or_insert(next);
        if self.place == next {
            let unplaced = SourcePlace {
                span: range.clone(),
                ..SourcePlace::default()
            };
            let source = self.source.filter(|text| range.end <= text.len());
            let place = source.map(|source| SourcePlace::of(source, range));
            self.program.places.push(place.unwrap_or(unplaced));
        }
    }

    pub(super) fn current_place(&self) -> u32 {
        self.place
    }

    pub(super) fn set_place(&mut self, place: u32) {
        self.place = place;
    }

    pub(super) fn unknown(&self, what: impl Into<String>) -> CompileError {
        CompileError::Unknown {
            what: what.into(),
            place: self
                .program
                .places
                .get(self.place as usize)
                .cloned()
                .unwrap_or_default(),
        }
    }

    pub(super) fn here(&self) -> u32 {
        self.program.code.len() as u32
    }

    /// Appends an instruction and says where it is.
    pub(super) fn emit(
        &mut self,
        op: Op,
        width: u16,
        steps: u8,
        [dst, a, b, c, d]: [u32; 5],
    ) -> usize {
        self.program.code.push(Instruction {
            op,
            width,
            steps,
            dst,
            a,
            b,
            c,
            d,
        });
        self.program.place_of.push(self.place);
        self.program.code.len() - 1
    }

    /// The number of an instruction's log.
    pub(super) fn log(&mut self) -> u32 {
        self.program.logged += 1;
        self.program.logged - 1
    }

    /// A copy of any number of words.
    pub(super) fn emit_wide(&mut self, op: Op, words: u32, dst: u32, from: u32) {
        let mut done = 0;
        while done < words {
            let width = (words - done).min(u32::from(u16::MAX));
            self.emit(op, width as u16, 1, [dst + done, from + done, 0, 0, 0]);
            done += width;
        }
    }

    /// Settles where registers lie: first those that are filled at launch, then the others.
    fn finish(mut self) -> Result<Program, CompileError> {
        let presets = self.program.frame.len() as u32;
        if u64::from(presets) + u64::from(self.peak) > 1 << 26 {
            return Err(self.unknown("an invocation with 256 MiB of variables"));
        }
        let settle = |operand: &mut u32| {
            if *operand & PRESET == PRESET {
                *operand &= !PRESET;
            } else if *operand & REGISTER != 0 {
                *operand = (*operand & !REGISTER) + presets;
            }
        };
        for instruction in &mut self.program.code {
            let Instruction {
                dst, a, b, c, d, ..
            } = instruction;
            [dst, a, b, c, d].into_iter().for_each(settle);
        }
        self.program
            .inputs
            .iter_mut()
            .for_each(|(_, register)| settle(register));
        self.program.rounds.iter_mut().flatten().for_each(settle);
        for (range, _) in &mut self.program.locals {
            settle(&mut range.start);
            settle(&mut range.end);
        }
        self.program.frame.resize((presets + self.peak) as usize, 0);
        Ok(self.program)
    }
}
