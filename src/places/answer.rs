//! Shapes of answers: at most so many results, or a failure in the same form.
