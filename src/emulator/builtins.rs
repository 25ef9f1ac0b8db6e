//! WGSL's builtin functions and products of matrices, in instructions.

use super::alu::{Binary as B, Ternary as T, Unary as U};
use super::compile::{Compiler, Scope, Value};
use super::error::CompileError;
use super::packing::{Pack, Unpack};
use super::program::{Kind, Op};
use naga::{Expression, Handle, MathFunction as M, TypeInner};

impl<'a> Compiler<'a> {
    pub(super) fn math(
        &mut self,
        scope: &mut Scope<'a>,
        handle: Handle<Expression>,
        function: M,
        arguments: [Option<Handle<Expression>>; 4],
    ) -> Result<Value, CompileError> {
        let mut values = Vec::new();
        for argument in arguments.into_iter().flatten() {
            let mut value = self.value(scope, argument)?;
            // WGSL lets `mix` and a few others take a scalar beside vectors.
            value.splat |= matches!(self.inner(scope, argument), TypeInner::Scalar(_));
            values.push(value);
        }
        let Some(first) = arguments[0] else {
            return Err(self.unknown("a builtin without arguments"));
        };
        let kind = self.kind(scope, first)?;
        let words = self.words(scope, first)?;
        if let Some(op) = componentwise(function, kind) {
            let words = self.words(scope, handle)?;
            return Ok(self.apply(op, words, &values));
        }
        if let Some(value) = self.geometry(function, kind, words, &values) {
            return Ok(value);
        }
        match function {
            M::Modf | M::Frexp => {
                let op = if function == M::Modf {
                    Op::Modf
                } else {
                    Op::Frexp
                };
                let from = self.contiguous(values[0], words);
                let register = self.allocate(2 * words);
                self.emit(op, words as u16, 1, [register, from, 0, 0, 0]);
                Ok(Value {
                    register,
                    splat: false,
                })
            }
            M::InsertBits => Ok(self.apply(Op::InsertBits, words, &values)),
            M::Transpose => self.transpose(self.inner(scope, first), values[0]),
            M::Determinant => match *self.inner(scope, first) {
                TypeInner::Matrix { columns, .. } => Ok(self.reduce(
                    Op::Determinant,
                    u32::from(columns),
                    [values[0].register, values[0].register],
                )),
                _ => Err(self.unknown("the determinant of no matrix")),
            },
            M::Outer => {
                let rows = words;
                let columns = self.words(scope, handle)? / rows;
                let register = self.allocate(rows * columns);
                for column in 0..columns {
                    let scalar = self.component(values[1], column);
                    self.product_into(register + column * rows, rows, values[0], scalar);
                }
                Ok(Value {
                    register,
                    splat: false,
                })
            }
            other => self.packing(other, words, &values),
        }
    }

    /// What WGSL defines by means of dot products.
    fn geometry(&mut self, function: M, kind: Kind, words: u32, values: &[Value]) -> Option<Value> {
        let binary =
            |this: &mut Self, op: B, a: Value, b: Value| this.apply(Op::Binary(op), words, &[a, b]);
        Some(match function {
            M::Dot => self.dot(kind, words, values[0], values[1]),
            M::Length => self.length(words, values[0]),
            M::Distance => {
                let difference = binary(self, B::SubF, values[0], values[1]);
                self.length(words, difference)
            }
            M::Normalize => {
                let length = self.length(words, values[0]);
                binary(self, B::DivF, values[0], splat(length))
            }
            M::Cross => {
                let [a, b] = [self.contiguous(values[0], 3), self.contiguous(values[1], 3)];
                let register = self.allocate(3);
                self.emit(Op::Cross, 3, 3, [register, a, b, 0, 0]);
                Value {
                    register,
                    splat: false,
                }
            }
            M::FaceForward => {
                let along = self.dot(kind, words, values[2], values[1]);
                let zero = self.number(0.0);
                let turned = self.apply(Op::Binary(B::LtF), 1, &[along, zero]);
                let back = self.apply(Op::Unary(U::NegF), words, &[values[0]]);
                self.apply(
                    Op::Ternary(T::Select),
                    words,
                    &[back, values[0], splat(turned)],
                )
            }
            M::Reflect => {
                let along = self.dot(kind, words, values[1], values[0]);
                let two = self.number(2.0);
                let twice = self.apply(Op::Binary(B::MulF), 1, &[along, two]);
                let across = binary(self, B::MulF, values[1], splat(twice));
                binary(self, B::SubF, values[0], across)
            }
            M::Refract => self.refract(words, values),
            _ => return None,
        })
    }

    /// k = 1 − η²·(1 − (n·i)²); below 0 nothing is refracted, else η·i − (η·(n·i) + √k)·n.
    fn refract(&mut self, words: u32, values: &[Value]) -> Value {
        let (incident, normal, eta) = (values[0], values[1], values[2]);
        let along = self.dot(Kind::F32, words, normal, incident);
        let scalar =
            |this: &mut Self, op: B, a: Value, b: Value| this.apply(Op::Binary(op), 1, &[a, b]);
        let (one, zero) = (self.number(1.0), self.number(0.0));
        let square = scalar(self, B::MulF, along, along);
        let rest = scalar(self, B::SubF, one, square);
        let eta_squared = scalar(self, B::MulF, eta, eta);
        let bent = scalar(self, B::MulF, eta_squared, rest);
        let k = scalar(self, B::SubF, one, bent);
        let reflected = scalar(self, B::LtF, k, zero);
        let inside = scalar(self, B::MaxF, k, zero);
        let root = self.apply(Op::Unary(U::Sqrt), 1, &[inside]);
        let scaled = scalar(self, B::MulF, eta, along);
        let factor = scalar(self, B::AddF, scaled, root);
        let on = self.apply(Op::Binary(B::MulF), words, &[incident, splat(eta)]);
        let off = self.apply(Op::Binary(B::MulF), words, &[normal, splat(factor)]);
        let refracted = self.apply(Op::Binary(B::SubF), words, &[on, off]);
        self.apply(
            Op::Ternary(T::Select),
            words,
            &[refracted, splat(zero), splat(reflected)],
        )
    }

    fn number(&mut self, number: f32) -> Value {
        Value {
            register: self.constant(vec![number.to_bits()]),
            splat: true,
        }
    }

    fn dot(&mut self, kind: Kind, words: u32, a: Value, b: Value) -> Value {
        let op = if kind == Kind::F32 {
            Op::DotF
        } else {
            Op::DotI
        };
        let operands = [self.contiguous(a, words), self.contiguous(b, words)];
        self.reduce(op, words, operands)
    }

    fn length(&mut self, words: u32, value: Value) -> Value {
        if words == 1 {
            return self.apply(Op::Unary(U::AbsF), 1, &[value]);
        }
        let square = self.dot(Kind::F32, words, value, value);
        self.apply(Op::Unary(U::Sqrt), 1, &[square])
    }

    fn packing(
        &mut self,
        function: M,
        words: u32,
        values: &[Value],
    ) -> Result<Value, CompileError> {
        let pack = match function {
            M::Pack4x8snorm => Some(Pack::Snorm8),
            M::Pack4x8unorm => Some(Pack::Unorm8),
            M::Pack2x16snorm => Some(Pack::Snorm16),
            M::Pack2x16unorm => Some(Pack::Unorm16),
            M::Pack2x16float => Some(Pack::Float16),
            M::Pack4xI8 => Some(Pack::Int8),
            M::Pack4xU8 => Some(Pack::Uint8),
            M::Pack4xI8Clamp => Some(Pack::Int8Clamp),
            M::Pack4xU8Clamp => Some(Pack::Uint8Clamp),
            _ => None,
        };
        if let Some(pack) = pack {
            let from = self.contiguous(values[0], words);
            return Ok(self.reduce(Op::Pack(pack), words, [from, from]));
        }
        let unpack = match function {
            M::Unpack4x8snorm => Unpack::Snorm8,
            M::Unpack4x8unorm => Unpack::Unorm8,
            M::Unpack2x16snorm => Unpack::Snorm16,
            M::Unpack2x16unorm => Unpack::Unorm16,
            M::Unpack2x16float => Unpack::Float16,
            M::Unpack4xI8 => Unpack::Int8,
            M::Unpack4xU8 => Unpack::Uint8,
            M::Dot4I8Packed => {
                return Ok(self.reduce(Op::Dot4I, 1, [values[0].register, values[1].register]));
            }
            M::Dot4U8Packed => {
                return Ok(self.reduce(Op::Dot4U, 1, [values[0].register, values[1].register]));
            }
            other => return Err(self.unknown(format!("the builtin {other:?}"))),
        };
        let register = self.allocate(u32::from(unpack.components()));
        self.emit(
            Op::Unpack(unpack),
            unpack.components(),
            0,
            [register, values[0].register, 0, 0, 0],
        );
        Ok(Value {
            register,
            splat: false,
        })
    }

    fn transpose(&mut self, shape: &TypeInner, value: Value) -> Result<Value, CompileError> {
        let TypeInner::Matrix { columns, rows, .. } = *shape else {
            return Err(self.unknown("the transpose of no matrix"));
        };
        let (columns, rows) = (u32::from(columns), u32::from(rows));
        let words: Vec<u32> = (0..columns * rows)
            .map(|i| value.register + i % columns * rows + i / columns)
            .collect();
        Ok(Value {
            register: self.gather(&words),
            splat: false,
        })
    }

    fn component(&self, value: Value, index: u32) -> Value {
        let register = value.register + if value.splat { 0 } else { index };
        Value {
            register,
            splat: true,
        }
    }

    fn product_into(&mut self, dst: u32, words: u32, vector: Value, scalar: Value) {
        let steps = u8::from(!vector.splat);
        self.emit(
            Op::Binary(B::MulF),
            words as u16,
            steps,
            [dst, vector.register, scalar.register, 0, 0],
        );
    }

    /// A product with a matrix in it; `None` where it goes component by component.
    pub(super) fn matrix_product(
        &mut self,
        shapes: [&TypeInner; 2],
        [left, right]: [Value; 2],
    ) -> Option<Value> {
        match (shapes[0], shapes[1]) {
            (TypeInner::Matrix { columns, rows, .. }, TypeInner::Vector { .. }) => {
                let (columns, rows) = (u32::from(*columns), u32::from(*rows));
                let register = self.allocate(rows);
                self.columns_times(left.register, [columns, rows], right, register);
                Some(Value {
                    register,
                    splat: false,
                })
            }
            (TypeInner::Vector { size, .. }, TypeInner::Matrix { columns, .. }) => {
                let (columns, rows) = (u32::from(*columns), u32::from(*size));
                let vector = self.contiguous(left, rows);
                let register = self.allocate(columns);
                for column in 0..columns {
                    let from = right.register + column * rows;
                    self.emit(
                        Op::DotF,
                        rows as u16,
                        3,
                        [register + column, vector, from, 0, 0],
                    );
                }
                Some(Value {
                    register,
                    splat: false,
                })
            }
            (
                TypeInner::Matrix {
                    columns: inner,
                    rows,
                    ..
                },
                TypeInner::Matrix { columns, .. },
            ) => {
                let (inner, rows, columns) =
                    (u32::from(*inner), u32::from(*rows), u32::from(*columns));
                let register = self.allocate(columns * rows);
                for column in 0..columns {
                    let vector = Value {
                        register: right.register + column * inner,
                        splat: false,
                    };
                    self.columns_times(
                        left.register,
                        [inner, rows],
                        vector,
                        register + column * rows,
                    );
                }
                Some(Value {
                    register,
                    splat: false,
                })
            }
            _ => None,
        }
    }

    /// dst = Σ columnᵢ·vectorᵢ.
    fn columns_times(&mut self, matrix: u32, [columns, rows]: [u32; 2], vector: Value, dst: u32) {
        for column in 0..columns {
            let from = Value {
                register: matrix + column * rows,
                splat: false,
            };
            let scalar = self.component(vector, column);
            if column == 0 {
                self.product_into(dst, rows, from, scalar);
            } else {
                let term = self.apply(Op::Binary(B::MulF), rows, &[from, scalar]);
                self.emit(
                    Op::Binary(B::AddF),
                    rows as u16,
                    3,
                    [dst, dst, term.register, 0, 0],
                );
            }
        }
    }
}

fn splat(value: Value) -> Value {
    Value {
        splat: true,
        ..value
    }
}

/// The instruction of a builtin that works component by component.
fn componentwise(function: M, kind: Kind) -> Option<Op> {
    let float = kind == Kind::F32;
    let signed = kind == Kind::I32;
    let unary = |op: U| Some(Op::Unary(op));
    match function {
        M::Abs if float => unary(U::AbsF),
        M::Abs if signed => unary(U::AbsI),
        M::Abs => Some(Op::Copy),
        M::Sign if float => unary(U::SignF),
        M::Sign => unary(U::SignI),
        M::Saturate => unary(U::Saturate),
        M::Cos => unary(U::Cos),
        M::Cosh => unary(U::Cosh),
        M::Sin => unary(U::Sin),
        M::Sinh => unary(U::Sinh),
        M::Tan => unary(U::Tan),
        M::Tanh => unary(U::Tanh),
        M::Acos => unary(U::Acos),
        M::Asin => unary(U::Asin),
        M::Atan => unary(U::Atan),
        M::Asinh => unary(U::Asinh),
        M::Acosh => unary(U::Acosh),
        M::Atanh => unary(U::Atanh),
        M::Radians => unary(U::Radians),
        M::Degrees => unary(U::Degrees),
        M::Ceil => unary(U::Ceil),
        M::Floor => unary(U::Floor),
        M::Round => unary(U::Round),
        M::Fract => unary(U::Fract),
        M::Trunc => unary(U::Trunc),
        M::Exp => unary(U::Exp),
        M::Exp2 => unary(U::Exp2),
        M::Log => unary(U::Log),
        M::Log2 => unary(U::Log2),
        M::Sqrt => unary(U::Sqrt),
        M::InverseSqrt => unary(U::InverseSqrt),
        M::QuantizeToF16 => unary(U::QuantizeToF16),
        M::CountTrailingZeros => unary(U::CountTrailingZeros),
        M::CountLeadingZeros => unary(U::CountLeadingZeros),
        M::CountOneBits => unary(U::CountOneBits),
        M::ReverseBits => unary(U::ReverseBits),
        M::FirstTrailingBit => unary(U::FirstTrailingBit),
        M::FirstLeadingBit if signed => unary(U::FirstLeadingBitI),
        M::FirstLeadingBit => unary(U::FirstLeadingBitU),
        M::Min => Some(Op::Binary(of_kind(kind, B::MinF, B::MinI, B::MinU))),
        M::Max => Some(Op::Binary(of_kind(kind, B::MaxF, B::MaxI, B::MaxU))),
        M::Pow => Some(Op::Binary(B::Pow)),
        M::Atan2 => Some(Op::Binary(B::Atan2)),
        M::Step => Some(Op::Binary(B::Step)),
        M::Ldexp => Some(Op::Binary(B::Ldexp)),
        M::Fma => Some(Op::Ternary(T::Fma)),
        M::Mix => Some(Op::Ternary(T::Mix)),
        M::SmoothStep => Some(Op::Ternary(T::SmoothStep)),
        M::Clamp => Some(Op::Ternary(of_kind(kind, T::ClampF, T::ClampI, T::ClampU))),
        M::ExtractBits if signed => Some(Op::Ternary(T::ExtractBitsI)),
        M::ExtractBits => Some(Op::Ternary(T::ExtractBitsU)),
        _ => None,
    }
}

fn of_kind<T>(kind: Kind, float: T, signed: T, unsigned: T) -> T {
    match kind {
        Kind::F32 => float,
        Kind::I32 => signed,
        Kind::U32 | Kind::Bool => unsigned,
    }
}
