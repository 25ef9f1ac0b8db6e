/// How a command ended that did not fail.
pub enum End {
    /// It did what it was asked.
    Done,
    /// It was interrupted, and has kept what there was.
    Interrupted,
}
