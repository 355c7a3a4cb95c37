"""catch22: 22 features that tell series apart, each a function of many series of one length at once."""
