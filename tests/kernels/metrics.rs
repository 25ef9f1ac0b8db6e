use crate::harness::*;
use autorep::kernels::metrics::{self, ROWS, Record, row_words};
use autorep::kernels::step::StepScalars;

#[test]
fn a_record_holds_what_the_step_left() {
    on_every_engine(|compiler| {
        for batch in [1, 7, 64, 300] {
            let samples = noise(1, 4 * batch);
            let words = row_words(2);
            let scalars = StepScalars {
                step: ROWS as u32 + 3,
                count: batch as u32,
                ..Default::default()
            };
            let recipe = metrics::record(compiler, batch, true, 2).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(bytemuck::bytes_of(&scalars)),
                    Data::In(&samples),
                    Data::InOutWords(&vec![POISON; ROWS * words]),
                    Data::In(&[2.5, 1.0, 0.0, 0.0]),
                    Data::InOutWords(&[4, 6]),
                    Data::InOutWords(&[11, 31]),
                    Data::InOutWords(&[7]),
                ],
            );
            let bits: Vec<u32> = got[2].iter().map(|v| v.to_bits()).collect();
            let record = Record::from_words(&bits[3 * words..4 * words]);
            let sums: Vec<f64> = (0..4)
                .map(|k| (0..batch).map(|n| f64::from(samples[4 * n + k])).sum())
                .collect();
            let found = [record.ce, record.kd, record.top1, record.top5];
            assert_close("sums", &found, &sums, 1e-5);
            assert_eq!(record.step, ROWS as u32 + 3);
            assert_eq!(record.count, batch as u32);
            assert_eq!(record.gradient_norm, 2.5);
            assert_eq!(
                (record.bad_forward, record.bad_backward),
                (Some(4), Some(5))
            );
            assert_eq!((record.kept, record.sites), (42, vec![11, 31]));
            let others = bits.iter().enumerate().filter(|(i, _)| i / words != 3);
            assert!(
                others.into_iter().all(|(_, &w)| w == POISON),
                "another row was written"
            );
            assert_eq!(
                got[4].iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                [u32::MAX, 0]
            );
            assert_eq!(got[5], [0.0, 0.0], "counts were not cleared");
            assert_eq!(got[6][0].to_bits(), 42);
        }
    });
}
