//! The commands of wigocli and how their answers are drawn.
