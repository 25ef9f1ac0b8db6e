//! Expressions: values, places in memory, loads, operators.

use super::alu::{Binary, Ternary, Unary};
use super::compile::{Compiler, Operand, Place, Root, Scope, Value};
use super::error::CompileError;
use super::layout::{self, Packing};
use super::program::{Input, Kind, Op};
use naga::{
    BinaryOperator, Expression, Handle, RelationalFunction, ScalarKind, TypeInner, UnaryOperator,
};

impl<'a> Compiler<'a> {
    /// The type of an expression.
    pub(super) fn inner(&self, scope: &Scope<'a>, handle: Handle<Expression>) -> &'a TypeInner {
        let info: &'a naga::valid::FunctionInfo = scope.info;
        info[handle].ty.inner_with(&self.module.types)
    }

    pub(super) fn words(
        &self,
        scope: &Scope<'a>,
        handle: Handle<Expression>,
    ) -> Result<u32, CompileError> {
        layout::words(self.module, self.inner(scope, handle)).map_err(|error| self.located(error))
    }

    pub(super) fn kind(
        &self,
        scope: &Scope<'a>,
        handle: Handle<Expression>,
    ) -> Result<Kind, CompileError> {
        let scalar = layout::scalar(self.inner(scope, handle)).and_then(layout::kind);
        scalar.map_err(|error| self.located(error))
    }

    /// The same error, with the place of what is being compiled.
    pub(super) fn located(&self, error: CompileError) -> CompileError {
        match error {
            CompileError::Unknown { what, .. } => self.unknown(what),
            other => other,
        }
    }

    /// What an expression stands for; its instructions are emitted when it is first asked for.
    pub(super) fn operand(
        &mut self,
        scope: &mut Scope<'a>,
        handle: Handle<Expression>,
    ) -> Result<Operand, CompileError> {
        if let Some(operand) = scope.operands[handle.index()] {
            return Ok(operand);
        }
        let place = self.current_place();
        self.at(scope.function.expressions.get_span(handle));
        let operand = self.evaluate(scope, handle).map_err(|error| match error {
            CompileError::Unknown { what, place } if place == Default::default() => {
                self.unknown(what)
            }
            other => other,
        })?;
        self.set_place(place);
        scope.operands[handle.index()] = Some(operand);
        Ok(operand)
    }

    pub(super) fn value(
        &mut self,
        scope: &mut Scope<'a>,
        handle: Handle<Expression>,
    ) -> Result<Value, CompileError> {
        match self.operand(scope, handle)? {
            Operand::Value(value) => Ok(value),
            _ => Err(self.unknown("a pointer or texture as a value")),
        }
    }

    pub(super) fn place_of(
        &mut self,
        scope: &mut Scope<'a>,
        handle: Handle<Expression>,
    ) -> Result<Place, CompileError> {
        match self.operand(scope, handle)? {
            Operand::Place(place) => Ok(place),
            _ => Err(self.unknown("a value where a pointer should be")),
        }
    }

    /// A value's words in a row.
    pub(super) fn contiguous(&mut self, value: Value, words: u32) -> u32 {
        if !value.splat || words == 1 {
            return value.register;
        }
        if let Some(known) = self
            .known(value.register, 1)
            .map(|word| word.repeat(words as usize))
        {
            return self.constant(known);
        }
        let dst = self.allocate(words);
        self.emit_copy(words, dst, value);
        dst
    }

    /// Copies a value, splat or not.
    pub(super) fn emit_copy(&mut self, words: u32, dst: u32, value: Value) {
        if value.splat {
            self.emit(Op::Copy, words as u16, 0, [dst, value.register, 0, 0, 0]);
        } else {
            self.emit_wide(Op::Copy, words, dst, value.register);
        }
    }

    /// An instruction that works component by component; its result.
    pub(super) fn apply(&mut self, op: Op, words: u32, operands: &[Value]) -> Value {
        let register = self.allocate(words);
        let mut fields = [register, 0, 0, 0, 0];
        let mut steps = 0;
        for (i, operand) in operands.iter().enumerate() {
            fields[i + 1] = operand.register;
            steps |= u8::from(!operand.splat) << i;
        }
        self.emit(op, words as u16, steps, fields);
        Value {
            register,
            splat: false,
        }
    }

    fn evaluate(
        &mut self,
        scope: &mut Scope<'a>,
        handle: Handle<Expression>,
    ) -> Result<Operand, CompileError> {
        let module = self.module;
        let value = |register: u32| {
            Operand::Value(Value {
                register,
                splat: false,
            })
        };
        Ok(match scope.function.expressions[handle] {
            Expression::Literal(literal) => {
                let word = self.literal(literal)?;
                value(self.constant(vec![word]))
            }
            Expression::Constant(constant) => {
                let words = self.global_constant(module.constants[constant].init)?;
                value(self.constant(words))
            }
            Expression::ZeroValue(ty) => {
                let words = layout::words(module, &module.types[ty].inner)?;
                value(self.constant(vec![0; words as usize]))
            }
            Expression::Compose { ref components, .. } => {
                let mut words = Vec::new();
                for &component in components {
                    let width = self.words(scope, component)?;
                    let part = self.value(scope, component)?;
                    words
                        .extend((0..width).map(|i| part.register + if part.splat { 0 } else { i }));
                }
                value(self.gather(&words))
            }
            Expression::Splat { value: scalar, .. } => {
                let register = self.value(scope, scalar)?.register;
                Operand::Value(Value {
                    register,
                    splat: true,
                })
            }
            Expression::Swizzle {
                size,
                vector,
                pattern,
            } => {
                let from = self.value(scope, vector)?;
                if from.splat {
                    return Ok(Operand::Value(from));
                }
                let parts = pattern.iter().take(u32::from(size) as usize);
                let words: Vec<u32> = parts
                    .map(|&component| from.register + component as u32)
                    .collect();
                value(self.gather(&words))
            }
            Expression::FunctionArgument(index) => scope.arguments[index as usize],
            Expression::GlobalVariable(variable) => self.global(variable)?,
            Expression::LocalVariable(variable) => Operand::Place(Place {
                root: Root::Frame(scope.locals[variable.index()]),
                offset: 0,
                dynamic: None,
                packing: Packing::Registers,
            }),
            Expression::AccessIndex { base, index } => self.access_index(scope, base, index)?,
            Expression::Access { base, index } => self.access(scope, base, index)?,
            Expression::Load { pointer } => self.load(scope, pointer)?,
            Expression::ArrayLength(array) => {
                let place = self.place_of(scope, array)?;
                let Root::Resource(resource) = place.root else {
                    return Err(self.unknown("the length of an array outside storage memory"));
                };
                let stride = layout::stride(module, &self.pointee(scope, array)?, place.packing)?;
                value(self.input(Input::Length {
                    resource,
                    head: place.offset,
                    stride,
                }))
            }
            Expression::ImageLoad {
                image,
                coordinate,
                array_index,
                sample: None,
                level,
            } => Operand::Value(self.image_load(scope, image, coordinate, array_index, level)?),
            Expression::ImageQuery { image, query } => {
                Operand::Value(self.image_query(scope, image, query)?)
            }
            _ => return self.operate(scope, handle),
        })
    }

    /// The rest of [`Compiler::evaluate`]: what computes.
    fn operate(
        &mut self,
        scope: &mut Scope<'a>,
        handle: Handle<Expression>,
    ) -> Result<Operand, CompileError> {
        Ok(match scope.function.expressions[handle] {
            Expression::Unary { op, expr } => {
                let (kind, words) = (self.kind(scope, expr)?, self.words(scope, expr)?);
                let operand = self.value(scope, expr)?;
                let op = match (op, kind) {
                    (UnaryOperator::Negate, Kind::F32) => Unary::NegF,
                    (UnaryOperator::Negate, _) => Unary::NegI,
                    (UnaryOperator::LogicalNot, _) => Unary::NotB,
                    (UnaryOperator::BitwiseNot, _) => Unary::NotI,
                };
                Operand::Value(self.apply(Op::Unary(op), words, &[operand]))
            }
            Expression::Binary { op, left, right } => {
                Operand::Value(self.binary(scope, handle, op, left, right)?)
            }
            Expression::Select {
                condition,
                accept,
                reject,
            } => {
                let words = self.words(scope, handle)?;
                let scalar = matches!(self.inner(scope, condition), TypeInner::Scalar(_));
                let mut condition = self.value(scope, condition)?;
                condition.splat |= scalar;
                let (accept, reject) = (self.value(scope, accept)?, self.value(scope, reject)?);
                let op = Op::Ternary(Ternary::Select);
                Operand::Value(self.apply(op, words, &[reject, accept, condition]))
            }
            Expression::Relational { fun, argument } => {
                let words = self.words(scope, argument)?;
                let operand = self.value(scope, argument)?;
                match fun {
                    RelationalFunction::IsNan => {
                        Operand::Value(self.apply(Op::Unary(Unary::IsNan), words, &[operand]))
                    }
                    RelationalFunction::IsInf => {
                        Operand::Value(self.apply(Op::Unary(Unary::IsInf), words, &[operand]))
                    }
                    RelationalFunction::All | RelationalFunction::Any => {
                        let op = if fun == RelationalFunction::All {
                            Op::All
                        } else {
                            Op::Any
                        };
                        let from = self.contiguous(operand, words);
                        Operand::Value(self.reduce(op, words, [from, from]))
                    }
                }
            }
            Expression::As {
                expr,
                kind,
                convert,
            } => {
                let operand = self.value(scope, expr)?;
                if convert.is_none() {
                    return Ok(Operand::Value(operand));
                }
                self.kind(scope, handle)?;
                let words = self.words(scope, handle)?;
                let op = match (self.kind(scope, expr)?, kind) {
                    (Kind::F32, ScalarKind::Sint) => Unary::FtoI,
                    (Kind::F32, ScalarKind::Uint) => Unary::FtoU,
                    (Kind::F32, ScalarKind::Bool) => Unary::FtoB,
                    (Kind::I32, ScalarKind::Float) => Unary::ItoF,
                    (Kind::U32, ScalarKind::Float) => Unary::UtoF,
                    (Kind::Bool, ScalarKind::Float) => Unary::BtoF,
                    (Kind::I32 | Kind::U32, ScalarKind::Bool) => Unary::ItoB,
                    // The same bits.
                    _ => return Ok(Operand::Value(operand)),
                };
                Operand::Value(self.apply(Op::Unary(op), words, &[operand]))
            }
            Expression::Math {
                fun,
                arg,
                arg1,
                arg2,
                arg3,
            } => Operand::Value(self.math(scope, handle, fun, [Some(arg), arg1, arg2, arg3])?),
            ref other => {
                let text = format!("{other:?}");
                let name = text.split([' ', '(', '{']).next().unwrap_or_default();
                return Err(self.unknown(format!("the expression {name}")));
            }
        })
    }

    /// A scalar out of vectors.
    pub(super) fn reduce(&mut self, op: Op, words: u32, [a, b]: [u32; 2]) -> Value {
        let register = self.allocate(1);
        self.emit(op, words as u16, 3, [register, a, b, 0, 0]);
        Value {
            register,
            splat: false,
        }
    }

    fn binary(
        &mut self,
        scope: &mut Scope<'a>,
        handle: Handle<Expression>,
        op: BinaryOperator,
        left: Handle<Expression>,
        right: Handle<Expression>,
    ) -> Result<Value, CompileError> {
        let kind = self.kind(scope, left)?;
        self.kind(scope, right)?;
        let shapes = [self.inner(scope, left), self.inner(scope, right)];
        let mut operands = [self.value(scope, left)?, self.value(scope, right)?];
        if op == BinaryOperator::Multiply
            && let Some(product) = self.matrix_product(shapes, operands)
        {
            return Ok(product);
        }
        for (operand, shape) in operands.iter_mut().zip(shapes) {
            operand.splat |= matches!(shape, TypeInner::Scalar(_));
        }
        let words = self.words(scope, handle)?;
        let (op, swap) = operator(op, kind);
        if swap {
            operands.swap(0, 1);
        }
        Ok(self.apply(Op::Binary(op), words, &operands))
    }
}

/// The instruction of an operator, and whether its operands change places.
fn operator(op: BinaryOperator, kind: Kind) -> (Binary, bool) {
    use Binary as B;
    use BinaryOperator as O;
    let by_kind = |float: B, signed: B, unsigned: B| match kind {
        Kind::F32 => float,
        Kind::I32 => signed,
        Kind::U32 | Kind::Bool => unsigned,
    };
    match op {
        O::Add => (by_kind(B::AddF, B::AddI, B::AddI), false),
        O::Subtract => (by_kind(B::SubF, B::SubI, B::SubI), false),
        O::Multiply => (by_kind(B::MulF, B::MulI, B::MulI), false),
        O::Divide => (by_kind(B::DivF, B::DivI, B::DivU), false),
        O::Modulo => (by_kind(B::RemF, B::RemI, B::RemU), false),
        O::Equal => (by_kind(B::EqF, B::EqI, B::EqI), false),
        O::NotEqual => (by_kind(B::NeF, B::NeI, B::NeI), false),
        O::Less => (by_kind(B::LtF, B::LtI, B::LtU), false),
        O::LessEqual => (by_kind(B::LeF, B::LeI, B::LeU), false),
        O::Greater => (by_kind(B::LtF, B::LtI, B::LtU), true),
        O::GreaterEqual => (by_kind(B::LeF, B::LeI, B::LeU), true),
        O::And | O::LogicalAnd => (B::And, false),
        O::ExclusiveOr => (B::Xor, false),
        O::InclusiveOr | O::LogicalOr => (B::Or, false),
        O::ShiftLeft => (B::Shl, false),
        O::ShiftRight => (by_kind(B::ShrU, B::ShrI, B::ShrU), false),
    }
}
