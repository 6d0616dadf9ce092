from django.urls import path

from . import views

urlpatterns = [path("slow/", views.slow), path("tasks/<int:at_a_time>/", views.keep_running)]
