//! Where threads are born: named by role first (Linux keeps 15 bytes of a name) and counted.
