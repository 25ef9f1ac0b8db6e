//! Statements: control flow, barriers, calls.

use super::compile::{Compiler, Operand, Scope, Value};
use super::error::CompileError;
use super::layout;
use super::program::{Loop, Op, Subgroup, Switch};
use naga::{Block, Expression, Function, GatherMode, Handle, Statement, SwitchValue};

impl<'a> Compiler<'a> {
    /// A block; what it puts in registers is gone afterwards.
    pub(super) fn block(
        &mut self,
        scope: &mut Scope<'a>,
        block: &'a Block,
    ) -> Result<(), CompileError> {
        let mark = self.mark();
        self.open_block(scope, block)?;
        self.free(mark);
        Ok(())
    }

    /// A block whose registers outlive it.
    fn open_block(&mut self, scope: &mut Scope<'a>, block: &'a Block) -> Result<(), CompileError> {
        for (statement, &span) in block.span_iter() {
            self.at(span);
            self.statement(scope, statement)?;
        }
        Ok(())
    }

    fn statement(
        &mut self,
        scope: &mut Scope<'a>,
        statement: &'a Statement,
    ) -> Result<(), CompileError> {
        match *statement {
            Statement::Emit(ref range) => {
                for handle in range.clone() {
                    self.operand(scope, handle)?;
                }
            }
            Statement::Block(ref block) => self.block(scope, block)?,
            Statement::If {
                condition,
                ref accept,
                ref reject,
            } => self.branch(scope, condition, accept, reject)?,
            Statement::Switch {
                selector,
                ref cases,
            } => self.switch(scope, selector, cases)?,
            Statement::Loop {
                ref body,
                ref continuing,
                break_if,
            } => {
                self.looped(scope, body, continuing, break_if)?;
            }
            Statement::Break => {
                let jump = self.jump();
                scope
                    .breaks
                    .last_mut()
                    .into_iter()
                    .for_each(|jumps| jumps.push(jump));
            }
            Statement::Continue => {
                let jump = self.jump();
                scope
                    .continues
                    .last_mut()
                    .into_iter()
                    .for_each(|jumps| jumps.push(jump));
            }
            Statement::Return { value } => {
                if let (Some(value), Some(result)) = (value, scope.result) {
                    let words = self.words(scope, value)?;
                    let value = self.value(scope, value)?;
                    self.emit_copy(words, result, value);
                }
                let jump = self.jump();
                scope.returns.push(jump);
            }
            Statement::ControlBarrier(flags) => self.barrier(flags)?,
            Statement::Store { pointer, value } => self.store(scope, pointer, value)?,
            Statement::ImageStore {
                image,
                coordinate,
                array_index,
                value,
            } => {
                self.image_store(scope, image, coordinate, array_index, value)?;
            }
            Statement::Atomic {
                pointer,
                ref fun,
                value,
                result,
            } => {
                self.atomic(scope, pointer, *fun, value, result)?;
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                self.barrier(naga::Barrier::WORK_GROUP)?;
                let operand = self.load(scope, pointer)?;
                scope.operands[result.index()] = Some(operand);
                self.barrier(naga::Barrier::WORK_GROUP)?;
            }
            Statement::Call {
                function,
                ref arguments,
                result,
            } => self.call(scope, function, arguments, result)?,
            Statement::MemoryBarrier(_) => {
                return Err(self.unknown("a memory barrier without control"));
            }
            _ => self.together(scope, statement)?,
        }
        Ok(())
    }

    /// The rest of [`Compiler::statement`]: what the lanes of a subgroup do together.
    fn together(
        &mut self,
        scope: &mut Scope<'a>,
        statement: &'a Statement,
    ) -> Result<(), CompileError> {
        match *statement {
            Statement::SubgroupBallot { result, predicate } => {
                let predicate = match predicate {
                    Some(predicate) => self.value(scope, predicate)?.register,
                    None => self.constant(vec![1]),
                };
                self.subgroup(
                    scope,
                    Subgroup::Ballot,
                    1,
                    4,
                    [predicate, predicate],
                    result,
                );
            }
            Statement::SubgroupGather {
                mode,
                argument,
                result,
            } => self.gather_lanes(scope, mode, argument, result)?,
            Statement::SubgroupCollectiveOperation {
                op,
                collective_op,
                argument,
                result,
            } => {
                let kind = self.kind(scope, argument)?;
                let words = self.words(scope, argument)?;
                let value = self.value(scope, argument)?;
                let from = self.contiguous(value, words);
                let op = Subgroup::Collective(op, collective_op, kind);
                self.subgroup(scope, op, words, words, [from, from], result);
            }
            ref other => return Err(self.unknown(format!("the statement {}", name_of(other)))),
        }
        Ok(())
    }

    /// A jump to where is not known yet.
    fn jump(&mut self) -> usize {
        self.emit(Op::Jump, 0, 0, [0; 5])
    }

    fn land(&mut self, jumps: Vec<usize>) {
        let here = self.here();
        for jump in jumps {
            self.program.code[jump].a = here;
        }
    }

    fn branch_unless(&mut self, condition: u32) -> usize {
        let log = self.log();
        self.emit(Op::BranchUnless, 1, 0, [0, condition, 0, 0, log])
    }

    fn branch(
        &mut self,
        scope: &mut Scope<'a>,
        condition: Handle<Expression>,
        accept: &'a Block,
        reject: &'a Block,
    ) -> Result<(), CompileError> {
        let condition = self.value(scope, condition)?;
        let branch = self.branch_unless(condition.register);
        self.block(scope, accept)?;
        if !reject.is_empty() {
            let jump = self.jump();
            self.program.code[branch].b = self.here();
            self.block(scope, reject)?;
            self.land(vec![jump]);
        } else {
            self.program.code[branch].b = self.here();
        }
        Ok(())
    }

    fn switch(
        &mut self,
        scope: &mut Scope<'a>,
        selector: Handle<Expression>,
        cases: &'a [naga::SwitchCase],
    ) -> Result<(), CompileError> {
        let selector = self.value(scope, selector)?;
        let table = self.program.switches.len() as u32;
        self.program.switches.push(Switch {
            cases: Vec::new(),
            default: 0,
        });
        let log = self.log();
        self.emit(Op::Switch, 1, 0, [0, selector.register, table, 0, log]);
        scope.breaks.push(Vec::new());
        let mut default = None;
        let mut targets = Vec::new();
        let mut ends = Vec::new();
        for case in cases {
            let here = self.here();
            match case.value {
                SwitchValue::I32(value) => targets.push((value as u32, here)),
                SwitchValue::U32(value) => targets.push((value, here)),
                SwitchValue::Default => default = Some(here),
            }
            self.block(scope, &case.body)?;
            if !case.fall_through {
                ends.push(self.jump());
            }
        }
        ends.extend(scope.breaks.pop().unwrap_or_default());
        self.land(ends);
        let default = default.unwrap_or_else(|| self.here());
        self.program.switches[table as usize] = Switch {
            cases: targets,
            default,
        };
        Ok(())
    }

    fn looped(
        &mut self,
        scope: &mut Scope<'a>,
        body: &'a Block,
        continuing: &'a Block,
        break_if: Option<Handle<Expression>>,
    ) -> Result<(), CompileError> {
        let (mark, place) = (self.mark(), self.current_place());
        let number = self.program.loops.len();
        self.emit(Op::Enter, 1, 0, [0, number as u32, 0, 0, 0]);
        let counted = has_rendezvous(self.module, body) || has_rendezvous(self.module, continuing);
        if counted {
            let (round, zero) = (self.allocate(1), self.constant(vec![0]));
            self.emit(Op::Copy, 1, 1, [round, zero, 0, 0, 0]);
            self.rounds.push(round);
        }
        let head = self.here();
        self.program.loops.push(Loop {
            code: head..head,
            place,
        });
        if let Some(&round) = self.rounds.last().filter(|_| counted) {
            self.emit(Op::Round, 1, 0, [round, 0, 0, 0, 0]);
        }
        scope.breaks.push(Vec::new());
        scope.continues.push(Vec::new());
        // The continuing part may use what the body has in registers.
        self.open_block(scope, body)?;
        let continues = scope.continues.pop().unwrap_or_default();
        self.land(continues);
        self.open_block(scope, continuing)?;
        self.set_place(place);
        match break_if {
            Some(condition) => {
                let condition = self.value(scope, condition)?;
                let branch = self.branch_unless(condition.register);
                self.program.code[branch].b = head;
            }
            None => {
                let jump = self.jump();
                self.program.code[jump].a = head;
            }
        }
        let breaks = scope.breaks.pop().unwrap_or_default();
        self.land(breaks);
        self.program.loops[number].code.end = self.here();
        if counted {
            self.rounds.pop();
        }
        self.free(mark);
        Ok(())
    }

    /// Numbers a rendezvous.
    fn rendezvous(&mut self) -> u32 {
        self.program.rounds.push(self.rounds.clone());
        self.program.rounds.len() as u32 - 1
    }

    fn barrier(&mut self, flags: naga::Barrier) -> Result<(), CompileError> {
        if flags.contains(naga::Barrier::SUB_GROUP) {
            return Err(self.unknown("subgroupBarrier"));
        }
        let rounds = self.rendezvous();
        self.emit(Op::Barrier, 1, 0, [0, flags.bits(), rounds, 0, 0]);
        Ok(())
    }

    fn subgroup(
        &mut self,
        scope: &mut Scope<'a>,
        op: Subgroup,
        words: u32,
        result_words: u32,
        [value, lane]: [u32; 2],
        result: Handle<Expression>,
    ) {
        let rounds = self.rendezvous();
        let dst = self.allocate(result_words);
        self.emit(
            Op::Subgroup(op),
            words as u16,
            0,
            [dst, value, lane, rounds, 0],
        );
        scope.operands[result.index()] = Some(Operand::Value(Value {
            register: dst,
            splat: false,
        }));
    }

    fn gather_lanes(
        &mut self,
        scope: &mut Scope<'a>,
        mode: GatherMode,
        argument: Handle<Expression>,
        result: Handle<Expression>,
    ) -> Result<(), CompileError> {
        let (op, lane) = match mode {
            GatherMode::BroadcastFirst => (Subgroup::BroadcastFirst, None),
            GatherMode::Broadcast(lane) => (Subgroup::Broadcast, Some(lane)),
            GatherMode::Shuffle(lane) => (Subgroup::Shuffle, Some(lane)),
            GatherMode::ShuffleDown(delta) => (Subgroup::ShuffleDown, Some(delta)),
            GatherMode::ShuffleUp(delta) => (Subgroup::ShuffleUp, Some(delta)),
            GatherMode::ShuffleXor(mask) => (Subgroup::ShuffleXor, Some(mask)),
            GatherMode::QuadBroadcast(lane) => (Subgroup::QuadBroadcast, Some(lane)),
            GatherMode::QuadSwap(direction) => (Subgroup::QuadSwap(direction as u8 + 1), None),
        };
        let words = self.words(scope, argument)?;
        let value = self.value(scope, argument)?;
        let from = self.contiguous(value, words);
        let lane = match lane {
            Some(lane) => self.value(scope, lane)?.register,
            None => from,
        };
        self.subgroup(scope, op, words, words, [from, lane], result);
        Ok(())
    }

    fn call(
        &mut self,
        scope: &mut Scope<'a>,
        function: Handle<Function>,
        arguments: &[Handle<Expression>],
        result: Option<Handle<Expression>>,
    ) -> Result<(), CompileError> {
        let (module, info) = (self.module, self.info);
        let callee = &module.functions[function];
        let operands: Result<Vec<_>, _> = arguments
            .iter()
            .map(|&argument| self.operand(scope, argument))
            .collect();
        let register = match &callee.result {
            Some(result) => {
                let words = layout::words(module, &module.types[result.ty].inner)?;
                Some(self.allocate(words))
            }
            None => None,
        };
        let place = self.current_place();
        self.inline(callee, &info[function], operands?, register)?;
        self.set_place(place);
        if let (Some(result), Some(register)) = (result, register) {
            scope.operands[result.index()] = Some(Operand::Value(Value {
                register,
                splat: false,
            }));
        }
        Ok(())
    }
}

/// Whether a block has a barrier or a subgroup operation, those of functions it calls included.
fn has_rendezvous(module: &naga::Module, block: &Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::ControlBarrier(_)
        | Statement::WorkGroupUniformLoad { .. }
        | Statement::SubgroupBallot { .. }
        | Statement::SubgroupGather { .. }
        | Statement::SubgroupCollectiveOperation { .. } => true,
        Statement::Block(block) => has_rendezvous(module, block),
        Statement::If { accept, reject, .. } => {
            has_rendezvous(module, accept) || has_rendezvous(module, reject)
        }
        Statement::Switch { cases, .. } => {
            cases.iter().any(|case| has_rendezvous(module, &case.body))
        }
        Statement::Loop {
            body, continuing, ..
        } => has_rendezvous(module, body) || has_rendezvous(module, continuing),
        Statement::Call { function, .. } => {
            has_rendezvous(module, &module.functions[*function].body)
        }
        _ => false,
    })
}

/// The kind of a statement, without what is in it.
fn name_of(statement: &Statement) -> String {
    let text = format!("{statement:?}");
    text.split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}
