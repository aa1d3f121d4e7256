"""The isotropic Migdal–Eliashberg equations on the imaginary axis."""
