//! The probes inside `wigo-probe`: one executable that answers to the name it is called by.
