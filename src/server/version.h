/* The version that the program reports; Meson passes the project's. */
#pragma once

#ifndef ODRADEK_VERSION
#error "ODRADEK_VERSION comes from the build"
#endif
