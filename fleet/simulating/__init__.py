"""A fleet that does not exist: devices with modelled speeds that speak the real contract."""
