mod hostile;
mod vectors;
