/// How a command ended that did not fail.
pub enum End {
    /// It did what it was asked.
    Done,
    /// It was interrupted, and has kept what there was.
    Interrupted,
    /// It found fault with what it was given, and has said so.
    Faults,
    /// It could not do what it was asked, and has said why.
    Unable,
}
