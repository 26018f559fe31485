/* Verbs of `odradek topic` that have a file of their own. */
#pragma once

int topic_alter(int argc, char **argv);
